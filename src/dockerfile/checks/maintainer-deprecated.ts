import type { Dockerfile } from '../types.ts';
import type { Report, Rule } from './rule.ts';

export const maintainerDeprecated: Rule<Dockerfile> = {
  name: 'MaintainerDeprecated',
  severity: 'warning',
  description: 'Authors are named by a label, not by MAINTAINER',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'MAINTAINER is deprecated. A label can be read with the others, and has a standard name.',
    bad: 'FROM alpine\nMAINTAINER me@example.org',
    good: 'FROM alpine\nLABEL org.opencontainers.image.authors="me@example.org"',
  },
  *check({ stages }): Iterable<Report> {
    for (const { instructions } of stages) {
      for (const instruction of instructions) {
        if (instruction.name !== 'MAINTAINER') continue;
        yield {
          message: 'MAINTAINER is deprecated',
          hint: `write LABEL org.opencontainers.image.authors=${JSON.stringify(instruction.maintainer.text)}`,
          place: instruction,
        };
      }
    }
  },
};
