import type { Report, Rule } from '../../../dockerfile/index.ts';
import { isSecretName } from '../secret-names.ts';
import { isStepOf, stepText } from '../view.ts';
import type { BuildView } from '../view.ts';

export const secretsUsedInArgOrEnv: Rule<BuildView> = {
  name: 'SecretsUsedInArgOrEnv',
  severity: 'warning',
  description: 'Nothing secret is passed by ARG or ENV',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Values of ENV are in the config of the image, values of ARG in its history: whoever has the image can read them. Names that sound secret are reported.',
    bad: 'FROM alpine\nARG NPM_TOKEN\nRUN ./install',
    good: 'FROM alpine\nRUN --mount=type=secret,id=NPM_TOKEN,env=NPM_TOKEN ./install',
  },
  *check(view): Iterable<Report> {
    for (const step of view.stages.flatMap(({ steps }) => steps)) {
      const words = isStepOf(step, 'ARG')
        ? step.instruction.args.map(({ key }) => key)
        : isStepOf(step, 'ENV')
          ? step.instruction.pairs.map(({ key }) => key)
          : [];
      for (const word of words) {
        const name = stepText(step, word, view);
        if (!isSecretName(name)) continue;
        yield {
          message: `${step.instruction.name} ${name} sounds like a secret, and would be kept in the image`,
          hint: `use RUN --mount=type=secret,id=${name},env=${name} where it is needed`,
          place: step,
          range: step.onBuild ? undefined : word.range,
        };
      }
    }
  },
};
