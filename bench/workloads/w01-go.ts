import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Case, Place, Workload } from '../types.ts';

const program = (run: number) => `package main

import "fmt"

func main() { fmt.Println("run", ${run}) }
`;

/** A compiler in one stage, a small image in the other: what most people build. */
export const goExample: Workload = {
  id: 'W1',
  title: 'Two stages, cold, bases present',
  short: true,
  prepare: async (place) => [
    ...(place.goImage === undefined
      ? []
      : [twoStages(place, 'with a compiler', place.goImage, 'go build -o app', 0.9)]),
    twoStages(place, 'without', place.baseImage, 'cp app.go app', 0.7),
  ],
};

function twoStages(place: Place, name: string, image: string, command: string, target: number): Case {
  const context = writeFiles(join(place.dir, `w1-${name.replace(' ', '-')}`), {
    'app.go': program(0),
    Dockerfile: [
      `FROM ${image} AS build`,
      'WORKDIR /src',
      'COPY app.go .',
      `RUN ${command}`,
      `FROM ${place.baseImage}`,
      'COPY --from=build /src/app .',
      'CMD ["./app"]',
      '',
    ].join('\n'),
  });
  return {
    name,
    target,
    runs: 7,
    warm: true,
    // Another source each time: nothing of it is in any cache, the bases are.
    before: (_, run) => void writeFiles(context, { 'app.go': program(run) }),
    request: () => ({ context, output: { kind: 'none' } }),
    compare: name === 'without' ? () => ({ context, output: { kind: 'none' } }) : undefined,
  };
}
