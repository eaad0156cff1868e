import { statfsSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Workload } from '../types.ts';
import { largeStep } from './w05-export.ts';

/** Whether memory grows with what is built. Peaks of W4 and W5 stand with those. */
export const memory: Workload = {
  id: 'W13',
  title: 'A layer of 10 GB, exported as an OCI archive',
  short: false,
  async prepare(place) {
    // The layer, its blob, the archive.
    const { bavail, bsize } = statfsSync(place.dir);
    if (!place.small && bavail * bsize < 32e9) {
      process.stderr.write('  left out: it needs 32 GB of room\n');
      return [];
    }
    const context = largeStep(place, 'w13', 640);
    const dest = join(place.dir, 'w13.tar');
    return [
      {
        name: 'zstd',
        runs: 1,
        slow: true,
        without: { buildkit: 'only memory counts here', buildah: 'only memory counts here' },
        before: (_, run) => void writeFiles(context, { nonce: `${run}\n` }),
        request: () => ({ context, output: { kind: 'oci', dest, compression: 'zstd' } }),
      },
    ];
  },
};
