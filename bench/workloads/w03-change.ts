import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Workload } from '../types.ts';
import { bundle, crunTimes } from './floors.ts';

/** Twenty steps in four stages; one file changes. */
export const change: Workload = {
  id: 'W3',
  title: '20 steps in 4 stages, one file changed',
  short: true,
  async prepare(place) {
    const context = writeFiles(join(place.dir, 'w3'), {
      'deps/list.txt': 'a\nb\nc\n',
      'src/main.txt': 'main\n',
      'notes.txt': 'notes\n',
      Dockerfile: [
        `FROM ${place.baseImage} AS base`,
        'RUN mkdir /work && echo base > /work/base',
        'RUN echo tools > /work/tools',
        'FROM base AS deps',
        'COPY deps/ /deps/',
        'RUN wc -l /deps/list.txt > /work/count',
        'RUN sort /deps/list.txt > /work/sorted',
        'RUN cat /work/sorted /work/count > /work/deps',
        'FROM base AS build',
        'COPY --from=deps /work/deps /work/deps',
        'COPY . /src/',
        'RUN cat /src/src/main.txt /work/deps > /work/1',
        'RUN cat /work/1 > /work/2',
        'RUN cat /work/2 > /work/3',
        'RUN cat /work/3 > /work/4',
        'RUN cat /work/4 > /work/app',
        `FROM ${place.baseImage}`,
        'COPY --from=deps /work/deps /deps',
        'COPY --from=build /work/app /app',
        'RUN cat /app /deps > /all',
        'RUN rm /deps',
        '',
      ].join('\n'),
    });
    await bundle(place, 'w3-bundle', 'cat /etc/os-release > /dev/null || true');
    return [
      {
        name: 'a source file',
        target: 0.5,
        runs: 7,
        warm: true,
        before: (_, run) => void writeFiles(context, { 'src/main.txt': `main ${run}\n` }),
        request: () => ({ context, output: { kind: 'none' } }),
        compare: () => ({ context, output: { kind: 'none' } }),
        // The steps that see the file: five in its stage, two after it.
        floors: [crunTimes('w3-bundle', 7)],
      },
      {
        name: 'a file that no result depends on',
        target: 0.4,
        runs: 7,
        warm: true,
        before: (_, run) => void writeFiles(context, { 'notes.txt': `notes ${run}\n` }),
        request: () => ({ context, output: { kind: 'none' } }),
        compare: () => ({ context, output: { kind: 'none' } }),
        floors: [crunTimes('w3-bundle', 5)],
      },
    ];
  },
};
