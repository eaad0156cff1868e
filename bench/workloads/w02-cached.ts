import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Case, Workload } from '../types.ts';
import { emptyScript } from './floors.ts';

/** The same again, nothing changed: what a person waits for most often. */
export const cached: Workload = {
  id: 'W2',
  title: 'The same again, nothing changed',
  short: true,
  async prepare(place) {
    const context = writeFiles(join(place.dir, 'w2'), {
      'app.txt': 'app\n',
      Dockerfile: [
        `FROM ${place.baseImage} AS build`,
        'WORKDIR /src',
        'COPY app.txt .',
        'RUN cp app.txt app',
        `FROM ${place.baseImage}`,
        'COPY --from=build /src/app .',
        'CMD ["./app"]',
        '',
      ].join('\n'),
    });
    const dest = join(place.dir, 'w2.tar');
    const common = {
      target: 0.8,
      runs: 15,
      warm: true,
      floors: [emptyScript(place)],
      compare: () => ({ context, output: { kind: 'none' } as const }),
    } as const;
    const cases: readonly Case[] = [
      {
        ...common,
        name: 'no output',
        request: () => ({ context, output: { kind: 'none' } }),
      },
      { ...common, name: '-t', request: () => ({ context, output: { kind: 'tag', name: 'localhost/bench:w2' } }) },
      {
        ...common,
        name: 'OCI archive',
        request: () => ({ context, output: { kind: 'oci', dest, compression: 'gzip' } }),
      },
    ];
    return cases;
  },
};
