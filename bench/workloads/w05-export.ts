import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import { createRandom } from '../random.ts';
import type { Place, Workload } from '../types.ts';

/** Gigabytes of a step's output, compressed: half text, half what does not compress. */
export const largeExport: Workload = {
  id: 'W5',
  title: 'RUN makes 1 GB, exported as an OCI archive',
  short: false,
  async prepare(place) {
    const context = largeStep(place, 'w5', 64);
    const dest = join(place.dir, 'w5.tar');
    const cases = (['gzip', 'zstd'] as const).map((compression) => ({
      name: compression,
      target: 0.6,
      runs: 3,
      slow: true,
      before: (_: unknown, run: number) => void writeFiles(context, { nonce: `${run}\n` }),
      warm: true,
      request: () => ({ context, output: { kind: 'oci', dest, compression } as const }),
      sizeOf: () => dest,
      floors:
        compression === 'gzip'
          ? [
              { name: 'pigz -6', script: `${BYTES} | pigz -6 | sha256sum` },
              { name: 'pigz -1', script: `${BYTES} | pigz -1 | sha256sum` },
            ]
          : [{ name: 'zstd -3 -T2', script: `${BYTES} | zstd -3 -T2 -c | sha256sum` }],
      compare: () => ({ context, output: { kind: 'oci', dest, compression } as const }),
    }));
    return cases;
  },
};

const BYTES = 'for i in $(seq 32); do cat w5/text w5/noise; done';

/** A step that writes `parts` times 16 MiB, half text and half noise, not the same bytes in two runs. */
export function largeStep(place: Place, name: string, parts: number): string {
  const random = createRandom(parts);
  const times = Math.max(1, Math.floor(parts / 2 / (place.small ? 10 : 1)));
  return writeFiles(join(place.dir, name), {
    text: random.text(16 << 20),
    noise: random.noise(16 << 20),
    nonce: '0\n',
    Dockerfile: [
      `FROM ${place.baseImage}`,
      `RUN --mount=type=bind,target=/in cp /in/nonce /nonce && for i in $(seq ${times}); do cat /in/text /in/noise; done > /large`,
      '',
    ].join('\n'),
  });
}
