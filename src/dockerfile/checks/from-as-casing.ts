import type { Dockerfile } from '../types.ts';
import { casingOf, inCasing } from './casing.ts';
import type { Report, Rule } from './rule.ts';

export const fromAsCasing: Rule<Dockerfile> = {
  name: 'FromAsCasing',
  severity: 'warning',
  description: 'AS is written in the case of its FROM',
  origin: 'buildkit',
  default: 'on',
  fixes: true,
  doc: {
    why: 'Keywords of one line in different cases read as if one of them were a name. `--fix` repairs it.',
    bad: 'FROM alpine as build',
    good: 'FROM alpine AS build',
  },
  *check({ stages }): Iterable<Report> {
    for (const { from } of stages) {
      const casing = casingOf(from.keyword);
      const { asKeyword } = from;
      // A FROM of mixed case is the business of ConsistentInstructionCasing.
      if (asKeyword === undefined || casing === undefined) continue;
      const right = inCasing(asKeyword.text, casing);
      if (asKeyword.text === right) continue;
      yield {
        message: `${asKeyword.text} is not in the case of ${from.keyword}`,
        hint: `write ${right}`,
        place: from,
        range: asKeyword.range,
        edits: [{ range: asKeyword.range, text: right }],
      };
    }
  },
};
