import type { Report, Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { exposedPorts } from './expose-ports.ts';

export const exposeProtoCasing: Rule<BuildView> = {
  name: 'ExposeProtoCasing',
  severity: 'warning',
  description: 'The protocol in EXPOSE is written in lower case',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'The image config has it in lower case; the file should say the same.',
    bad: 'FROM alpine\nEXPOSE 80/TCP',
    good: 'FROM alpine\nEXPOSE 80/tcp',
  },
  *check(view): Iterable<Report> {
    for (const { step, word, spec, protocol } of exposedPorts(view)) {
      if (protocol === protocol.toLowerCase()) continue;
      yield {
        message: `the protocol of ${spec} has upper-case letters`,
        hint: `write ${protocol.toLowerCase()}`,
        place: step,
        range: step.onBuild ? undefined : word.range,
      };
    }
  },
};
