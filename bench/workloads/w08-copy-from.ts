import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles, writeSourceTree } from '../files.ts';
import type { Workload } from '../types.ts';

/** Many files from one stage to another. */
export const copyFrom: Workload = {
  id: 'W8',
  title: 'COPY --from of 50,000 files, 300 MB',
  short: false,
  async prepare(place) {
    const context = join(place.dir, 'w8');
    mkdirSync(join(context, 'tree'), { recursive: true });
    writeSourceTree(join(context, 'tree'), { files: place.small ? 5000 : 50_000, meanBytes: 6144 });
    const dockerfile = (run: number, flags: string) =>
      [
        `FROM ${place.baseImage} AS all`,
        'COPY tree /tree',
        'RUN echo done > /tree/done',
        `FROM ${place.baseImage}`,
        `COPY ${flags} --from=all /tree /tree-${run}`,
        '',
      ].join('\n');
    const kinds = [
      { name: 'no output', flags: '', link: false },
      { name: '--link, no output', flags: '--link', link: true },
      { name: 'and a RUN on it', flags: '', link: false },
    ];
    const copied = { name: 'cp -a', script: 'cp -a w8/tree w8-copy', makes: 'w8-copy' };
    const linked = { name: 'cp -al', script: 'cp -al w8/tree w8-links', makes: 'w8-links' };
    return kinds.map(({ name, flags, link }, i) => ({
      name,
      target: link ? 0.1 : i === 2 ? undefined : 0.3,
      runs: 3,
      warm: true,
      before: (_: unknown, run: number) =>
        void writeFiles(context, {
          Dockerfile: `${dockerfile(run, flags)}${i === 2 ? `RUN ls /tree-${run} > /listing\n` : ''}`,
        }),
      request: () => ({ context, output: { kind: 'none' } as const }),
      floors: i === 2 ? [copied] : [copied, linked],
      compare: i === 2 ? undefined : () => ({ context, output: { kind: 'none' } as const }),
      slow: true,
    }));
  },
};
