import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Workload } from '../types.ts';
import { emptyScript } from './floors.ts';

/** Many stages. */
export const chain: Workload = {
  id: 'W12',
  title: '200 stages',
  short: true,
  async prepare(place) {
    const context = join(place.dir, 'w12');
    const numbers = (count: number) => Array.from({ length: count }, (_, i) => i);
    const chainOf = (run: number, count: number) =>
      [
        `FROM ${place.baseImage} AS s0`,
        ...numbers(count).flatMap((i) => [`FROM s${i} AS s${i + 1}`, `COPY file /file-${run}-${i}`]),
        '',
      ].join('\n');
    const unneeded = (count: number) =>
      [
        `FROM ${place.baseImage} AS s0`,
        ...numbers(count).flatMap((i) => [`FROM s${i} AS s${i + 1}`, `RUN echo ${i} > /file`]),
        `FROM ${place.baseImage}`,
        'COPY file /file',
        '',
      ].join('\n');
    const count = place.small ? 20 : 200;
    writeFiles(context, { file: 'file\n' });
    const request = () => ({ context, output: { kind: 'none' } }) as const;
    const script = emptyScript(place);
    return [
      {
        name: 'each FROM the one before, with a COPY',
        target: 0.3,
        runs: 5,
        warm: true,
        before: (_, run) => void writeFiles(context, { Dockerfile: chainOf(run, count) }),
        request,
        without: { buildah: 'takes a minute' },
        compare: request,
        // A directory with the file for each, by three processes in all.
        floors: [
          {
            name: `mkdir, tee, sha256sum of ${count} files`,
            script: `rm -rf w12-out; mkdir -p $(seq -f w12-out/%g ${count}); tee $(seq -f w12-out/%g/file ${count}) <w12/file >/dev/null; sha256sum $(seq -f w12-out/%g/file ${count}) >/dev/null`,
          },
        ],
      },
      {
        name: 'that nothing needs',
        target: 0.8,
        runs: 9,
        warm: true,
        before: () => void writeFiles(context, { Dockerfile: unneeded(count) }),
        request,
        compare: request,
        floors: [script],
      },
      {
        name: 'that are not there',
        runs: 9,
        warm: true,
        before: () => void writeFiles(context, { Dockerfile: unneeded(0) }),
        request,
        compare: request,
        floors: [script],
      },
    ];
  },
};
