import type { Dockerfile } from '../types.ts';
import type { Report, Rule } from './rule.ts';

export const stageNameCasing: Rule<Dockerfile> = {
  name: 'StageNameCasing',
  severity: 'warning',
  description: 'Names of stages are written in lower case',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Stage names are kept in lower case. `COPY --from` and `--target` find them in any case, `FROM` does not: `FROM Base` looks for an image.',
    bad: 'FROM alpine AS Base',
    good: 'FROM alpine AS base',
  },
  *check({ stages }): Iterable<Report> {
    for (const { from, name } of stages) {
      // The name is kept in lower case.
      if (from.as === undefined || name === undefined || from.as.text === name) continue;
      yield {
        message: `the stage name ${from.as.text} has upper-case letters`,
        hint: `write AS ${name}`,
        place: from,
        range: from.as.range,
      };
    }
  },
};
