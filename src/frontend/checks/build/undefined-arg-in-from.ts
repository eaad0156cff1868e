import { isSlip, nearest } from '../../../dockerfile/index.ts';
import type { Report, Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { fromWords } from './from-words.ts';

export const undefinedArgInFrom: Rule<BuildView> = {
  name: 'UndefinedArgInFrom',
  severity: 'warning',
  description: 'FROM uses no variable but an ARG that stands before the first FROM',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'FROM sees the arguments before the first FROM and those of the platform, as BUILDPLATFORM. Anything else is empty there.',
    bad: 'ARG VERSION=3\nFROM alpine:3${VARIANT}',
    good: 'ARG VERSION=3\nARG VARIANT=""\nFROM alpine:3${VARIANT}',
  },
  *check(view): Iterable<Report> {
    const declared = new Set(view.globals.keys());
    for (const { args } of view.dockerfile.globalArgs) for (const { key } of args) declared.add(key.text);
    for (const { stage } of view.graph.stages) {
      for (const { word, expansion } of fromWords(stage, view)) {
        for (const name of expansion.unmatched) {
          if (declared.has(name)) continue;
          const near = [...declared].find((other) => isSlip(name, other)) ?? nearest(name, [...declared]);
          yield {
            message: `FROM uses ${name}, which no ARG before the first FROM declares`,
            hint: near === undefined ? `add ARG ${name}=... before the first FROM` : `did you mean ${near}?`,
            place: stage.from,
            range: word.range,
          };
        }
      }
    }
  },
};
