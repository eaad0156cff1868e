import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { writeSourceTree } from '../files.ts';
import type { Workload } from '../types.ts';

/** A large repository as the build context. */
export const largeContext: Workload = {
  id: 'W4',
  title: 'COPY of 100,000 files, 400 MB',
  short: false,
  async prepare(place) {
    const context = join(place.dir, 'w4');
    mkdirSync(context);
    writeSourceTree(context, { files: place.small ? 10_000 : 100_000, meanBytes: 4096 });
    const dockerfile = join(place.dir, 'w4.Dockerfile');
    writeFileSync(dockerfile, 'FROM scratch\nCOPY . /repository/\n');
    const without = { buildah: 'takes 40 s, as when cold' };
    const look = { name: 'find with sizes and times', script: "find w4 -printf '%p %s %T@ %C@ %m\\n' >/dev/null" };
    const dest = join(place.dir, 'w4.tar');
    const archive = { context, dockerfile, output: { kind: 'oci', dest, compression: 'gzip' } } as const;
    const nothing = { context, dockerfile, output: { kind: 'none' } } as const;
    return [
      {
        name: 'cold, OCI archive',
        target: 0.3,
        runs: 3,
        slow: true,
        before: (tool) => tool.prune(),
        request: () => archive,
        sizeOf: () => dest,
        floors: [
          { name: 'tar, sha256sum', script: 'tar -C w4 -cf - . | sha256sum' },
          { name: 'tar, pigz, sha256sum', script: 'tar -C w4 -cf - . | pigz | sha256sum' },
          { name: 'tar, zstd, sha256sum', script: 'tar -C w4 -cf - . | zstd -3 -T2 -c | sha256sum' },
        ],
        compare: () => archive,
      },
      {
        name: 'nothing changed, no output',
        target: 0.3,
        runs: 5,
        warm: true,
        without,
        request: () => nothing,
        floors: [look],
      },
      {
        name: 'one file changed, no output',
        target: 0.1,
        runs: 5,
        without,
        warm: true,
        before: (_, run) => writeFileSync(join(context, 'd0/s0/f0.txt'), `changed ${run}\n`),
        request: () => nothing,
        floors: [look],
        compare: () => nothing,
      },
    ];
  },
};
