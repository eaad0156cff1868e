import type { Dockerfile } from '../types.ts';
import type { Report, Rule } from './rule.ts';

export const noEmptyContinuation: Rule<Dockerfile> = {
  name: 'NoEmptyContinuation',
  severity: 'warning',
  description: 'No blank line stands inside a continued instruction',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'A blank line after a continuation is skipped today and is to become an error. It also hides that the instruction goes on. A comment line may stand there.',
    bad: 'FROM alpine\nRUN apk add --no-cache \\\n\n    curl',
    good: 'FROM alpine\nRUN apk add --no-cache \\\n    curl',
  },
  *check({ warnings }): Iterable<Report> {
    for (const { rule, message, range } of warnings) {
      if (rule === 'NoEmptyContinuation')
        yield { message, hint: 'remove the blank line', place: { range, comments: [] } };
    }
  },
};
