import type { Dockerfile } from '../types.ts';
import type { Report, Rule } from './rule.ts';

const RESERVED: readonly string[] = ['scratch', 'context'];

export const reservedStageName: Rule<Dockerfile> = {
  name: 'ReservedStageName',
  severity: 'warning',
  description: 'No stage is called scratch or context',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: '`scratch` is the empty image and `context` the build context; a stage of that name hides them.',
    bad: 'FROM alpine AS scratch',
    good: 'FROM alpine AS base',
  },
  *check({ stages }): Iterable<Report> {
    for (const { name, from } of stages) {
      if (name === undefined || !RESERVED.includes(name)) continue;
      yield {
        message: `the stage name ${name} is reserved`,
        hint: 'give the stage another name',
        place: from,
        range: from.as?.range,
      };
    }
  },
};
