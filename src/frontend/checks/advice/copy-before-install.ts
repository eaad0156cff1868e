import type { Report, Rule } from '../../../dockerfile/index.ts';
import { isStepOf, stepMounts } from '../view.ts';
import type { BuildView, StageView } from '../view.ts';
import { runCommands } from './commands.ts';
import { asCopy, copied, isFromContext, isWholeContext } from './copied.ts';
import type { CopyStep } from './copied.ts';
import { projectInstall, systemInstall } from './packages.ts';

export const copyBeforeInstall: Rule<BuildView> = {
  name: 'CopyBeforeInstall',
  severity: 'warning',
  description: 'Packages are installed before the sources are copied',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'After `COPY . .`, every change of any file runs the installation again. Copy the manifests alone, install, and copy the rest then. A RUN with a cache mount is not reported: it is quick anyway.',
    bad: 'FROM node\nWORKDIR /app\nCOPY . .\nRUN npm ci --omit=dev && npm cache clean --force\nCMD ["node", "server.js"]',
    good: 'FROM node\nWORKDIR /app\nCOPY package.json package-lock.json ./\nRUN npm ci --omit=dev && npm cache clean --force\nCOPY . .\nCMD ["node", "server.js"]',
  },
  *check(view): Iterable<Report> {
    for (const stage of view.stages) yield* reportStage(stage, view);
  },
};

function* reportStage(stage: StageView, view: BuildView): Iterable<Report> {
  let whole: CopyStep | undefined;
  const installed = new Set<string>();
  for (const step of stage.steps) {
    const copy = asCopy(step);
    if (
      copy !== undefined &&
      isFromContext(copy) &&
      copied(copy, view)?.sources.some(({ path }) => isWholeContext(path))
    ) {
      whole ??= copy;
    }
    if (!isStepOf(step, 'RUN')) continue;
    const isCached = stepMounts(step, view).some(({ type }) => type === 'cache');
    for (const command of runCommands(step)) {
      const system = systemInstall(command);
      const project = projectInstall(command);
      const manager = system?.manager ?? project?.manager;
      if (manager === undefined) continue;
      const isAgain = installed.has(manager);
      installed.add(manager);
      // Files of the context may be packages themselves.
      const isLocal = command.args.some((arg) => arg === '.' || /\.(?:deb|rpm|apk|whl)$/.test(arg));
      if (whole === undefined || isCached || isAgain || isLocal) continue;
      const line = whole.range.start.line;
      yield {
        message: `${project?.text ?? `${command.program} install`} runs again whenever any file of the context changes: ${whole.instruction.name} on line ${line} comes before it`,
        hint:
          project === undefined
            ? `move this RUN above line ${line}`
            : `before line ${line}, write COPY ${project.manifests} ./ and this RUN`,
        place: step,
      };
      whole = undefined;
    }
  }
}
