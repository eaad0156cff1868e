import type { Report, Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { exposedPorts } from './expose-ports.ts';

export const exposeInvalidFormat: Rule<BuildView> = {
  name: 'ExposeInvalidFormat',
  severity: 'warning',
  description: 'EXPOSE names ports of the container only',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Which address and port of the host lead to the container is said when it is run (`-p`). Here they are dropped, and are to become an error.',
    bad: 'FROM alpine\nEXPOSE 127.0.0.1:8080:80',
    good: 'FROM alpine\nEXPOSE 80',
  },
  *check(view): Iterable<Report> {
    for (const { step, word, spec, host, port } of exposedPorts(view)) {
      if (host.replace(/^:+/, '') === '') continue;
      yield {
        message: `EXPOSE ${spec} names an address or port of the host`,
        hint: `write EXPOSE ${port}`,
        place: step,
        range: step.onBuild ? undefined : word.range,
      };
    }
  },
};
