import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Workload } from '../types.ts';
import { bundle, crunAtOnce } from './floors.ts';

const STAGES = 32;

/** Stages that need nothing of each other. */
export const parallelStages: Workload = {
  id: 'W6',
  title: '32 parallel stages of 0.2 s',
  short: true,
  async prepare(place) {
    const context = join(place.dir, 'w6');
    const numbers = Array.from({ length: STAGES }, (_, i) => i);
    const dockerfile = (run: number) =>
      [
        ...numbers.flatMap((i) => [`FROM ${place.baseImage} AS s${i}`, `RUN sleep 0.2 && echo ${run} > /o${i}`]),
        `FROM ${place.baseImage}`,
        ...numbers.map((i) => `COPY --from=s${i} /o${i} /`),
        '',
      ].join('\n');
    await bundle(place, 'w6-bundle', 'sleep 0.2');
    return [
      {
        name: 'merged',
        target: 0.4,
        runs: 5,
        warm: true,
        before: (_, run) => void writeFiles(context, { Dockerfile: dockerfile(run) }),
        request: () => ({ context, output: { kind: 'none' } }),
        compare: () => ({ context, output: { kind: 'none' } }),
        floors: [
          crunAtOnce('w6-bundle', STAGES),
          { name: 'sleep alone', script: `for i in $(seq ${STAGES}); do sleep 0.2 & done; wait` },
        ],
      },
    ];
  },
};
