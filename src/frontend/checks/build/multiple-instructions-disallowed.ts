import type { Report, Rule } from '../../../dockerfile/index.ts';
import { stepsOf } from '../view.ts';
import type { BuildView, StageView, StepView } from '../view.ts';

const ONCE = ['ENTRYPOINT', 'CMD', 'HEALTHCHECK'] as const;

export const multipleInstructionsDisallowed: Rule<BuildView> = {
  name: 'MultipleInstructionsDisallowed',
  severity: 'warning',
  description: 'A stage has one CMD, one ENTRYPOINT and one HEALTHCHECK',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Only the last one of a stage counts; the earlier one says something that does not hold.',
    bad: 'FROM alpine\nCMD ["a"]\nCMD ["b"]',
    good: 'FROM alpine\nCMD ["b"]',
  },
  *check({ stages }): Iterable<Report> {
    for (const stage of stages) for (const name of ONCE) yield* repeated(stage, name);
  },
};

function* repeated(stage: StageView, name: (typeof ONCE)[number]): Iterable<Report> {
  let earlier: StepView | undefined;
  for (const step of stepsOf([stage], name)) {
    if (earlier !== undefined) {
      yield {
        message: `this ${name} has no effect: the stage has a later one, on line ${step.range.start.line}`,
        hint: 'remove it',
        place: earlier,
      };
    }
    earlier = step;
  }
}
