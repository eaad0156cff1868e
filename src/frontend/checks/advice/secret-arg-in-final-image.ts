import type { Report, Rule } from '../../../dockerfile/index.ts';
import { isSecretName } from '../secret-names.ts';
import { isStepOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

/** Names that BuildKit's list leaves out. */
const MORE_SECRET_NAMES = /(?:_|^)(?:pat|pass|passphrase|privatekey|accesskey|secretkey)(?:_|$)/i;

export const secretArgInFinalImage: Rule<BuildView> = {
  name: 'SecretArgInFinalImage',
  severity: 'warning',
  description: 'A RUN of the image gets secrets by mounts, not by ARG',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'The history of the image has the values of all ARGs with every RUN after them: `docker history` shows them. A secret mount is in no layer, no history and no cache key.',
    bad: 'FROM node\nARG NPM_TOKEN\nRUN npm config set //registry.npmjs.org/:_authToken=$NPM_TOKEN && npm install -g @acme/tool --cache=/tmp/npm',
    good: 'FROM node\nRUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN npm config set //registry.npmjs.org/:_authToken=$NPM_TOKEN && npm install -g @acme/tool --cache=/tmp/npm',
  },
  *check(view): Iterable<Report> {
    const reported = new Set<string>();
    for (const step of view.image.flatMap(({ steps }) => steps)) {
      if (!isStepOf(step, 'RUN')) continue;
      for (const name of step.args) {
        if (reported.has(name) || !(isSecretName(name) || MORE_SECRET_NAMES.test(name)) || !uses(step, name)) continue;
        reported.add(name);
        yield {
          message: `the history of the image keeps the value of ARG ${name}, which this RUN uses`,
          hint: `write RUN --mount=type=secret,id=${name},env=${name} ..., build with --secret id=${name},env=${name}, and remove the ARG`,
          place: step,
        };
      }
    }
  },
};

function uses({ instruction }: StepView, name: string): boolean {
  const bodies = instruction.name === 'RUN' ? instruction.heredocs.map(({ content }) => content) : [];
  const form = new RegExp(`\\$(?:${name}\\b|\\{${name}\\b)`);
  return (
    [instruction.original, ...bodies].some((text) => form.test(text)) && !instruction.original.includes(`env=${name}`)
  );
}
