import type { Dockerfile } from '../types.ts';
import type { Report, Rule } from './rule.ts';

export const duplicateStageName: Rule<Dockerfile> = {
  name: 'DuplicateStageName',
  severity: 'warning',
  description: 'Every stage has a name of its own',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'The later stage takes the name away from the earlier one: for `--target` and `COPY --from` only the last counts. Never repaired by `--fix`, which cannot know which one was meant.',
    bad: 'FROM debian AS build\nRUN make\nFROM alpine AS build',
    good: 'FROM debian AS build\nRUN make\nFROM alpine AS run\nCOPY --from=build /out /out',
  },
  *check({ stages }): Iterable<Report> {
    const lines = new Map<string, number>();
    for (const { name, from } of stages) {
      if (name === undefined) continue;
      const earlier = lines.get(name);
      if (earlier !== undefined) {
        yield {
          message: `the stage name ${name} is taken already, on line ${earlier}`,
          hint: 'give the stage another name',
          place: from,
          range: from.as?.range,
        };
      }
      lines.set(name, from.range.start.line);
    }
  },
};
