import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Workload } from '../types.ts';
import { bundle, crunTimes } from './floors.ts';

const STEPS = 40;

/** What a step costs by itself. */
export const manySteps: Workload = {
  id: 'W7',
  title: '40 times RUN true',
  short: true,
  async prepare(place) {
    const context = join(place.dir, 'w7');
    const dockerfile = (run: number) =>
      [
        `FROM ${place.baseImage}`,
        `ENV RUN=${run}`,
        ...Array.from({ length: STEPS }, (_, i) => `RUN true # ${i}`),
        '',
      ].join('\n');
    await bundle(place, 'w7-bundle', 'true');
    return [
      {
        name: 'one after the other',
        target: 0.2,
        runs: 5,
        warm: true,
        before: (_, run) => void writeFiles(context, { Dockerfile: dockerfile(run) }),
        request: () => ({ context, output: { kind: 'none' } }),
        compare: () => ({ context, output: { kind: 'none' } }),
        floors: [
          crunTimes('w7-bundle', STEPS),
          {
            name: 'unshare and chroot 40 times',
            script: `for i in $(seq ${STEPS}); do unshare -mpfiu chroot / /bin/true; done`,
          },
        ],
      },
    ];
  },
};
