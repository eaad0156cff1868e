import type { Report, Rule } from '../../../dockerfile/index.ts';
import { stepsOf, stepText } from '../view.ts';
import type { BuildView } from '../view.ts';

export const workdirRelativePath: Rule<BuildView> = {
  name: 'WorkdirRelativePath',
  severity: 'warning',
  description: 'The first WORKDIR is absolute',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'A relative WORKDIR is below that of the base image, which may change. Relative ones after an absolute one of the file are fine.',
    bad: 'FROM alpine\nWORKDIR app',
    good: 'FROM alpine\nWORKDIR /app',
  },
  *check(view): Iterable<Report> {
    for (const step of stepsOf(view.stages, 'WORKDIR')) {
      if (step.hasWorkdir) continue;
      const path = stepText(step, step.instruction.path, view);
      // What a variable of the base image holds is not known in a check.
      if (isAbsolute(path) || (!step.envIsKnown && path.startsWith('$'))) continue;
      yield {
        message: `WORKDIR ${path} is relative to the working directory of the base image`,
        hint: 'write it from the root: WORKDIR /...',
        place: step,
      };
    }
  },
};

function isAbsolute(path: string): boolean {
  return path.startsWith('/') || /^[a-z]:[\\/]/i.test(path);
}
