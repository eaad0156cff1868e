import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { Case, Floor, Place, Workload } from '../types.ts';
import { bundle, crunTimes, rootfs } from './floors.ts';

const program = (run: number) => `package main

import "fmt"

func main() { fmt.Println("run", ${run}) }
`;

/** A compiler in one stage, a small image in the other: what most people build. */
export const goExample: Workload = {
  id: 'W1',
  title: 'Two stages, cold, bases present',
  short: true,
  async prepare(place) {
    const { goImage, baseImage } = place;
    const cases: Case[] = [];
    if (goImage !== undefined) {
      const compiler = await compilerAlone(place, goImage);
      cases.push(twoStages(place, 'with a compiler', goImage, 'go build -o app app.go', 0.9, compiler));
    }
    await bundle(place, 'w1-bundle', 'true');
    cases.push(twoStages(place, 'without', baseImage, 'cp app.go app', 0.7, crunTimes('w1-bundle', 1)));
    return cases;
  },
};

/** On the image's files as they are each time: what the compiler keeps goes into an upper directory that is dropped. */
async function compilerAlone(place: Place, image: string): Promise<Floor> {
  const lower = await rootfs(place, 'w1-go', image);
  const script = [
    'rm -rf w1-go/upper w1-go/work; mkdir -p w1-go/upper/src w1-go/work w1-go/all',
    'cp w1-with-a-compiler/app.go w1-go/upper/src/',
    `mount -t overlay overlay -o lowerdir=${lower},upperdir=w1-go/upper,workdir=w1-go/work w1-go/all`,
    'mkdir -p w1-go/all/dev && mount --bind /dev w1-go/all/dev',
    "PATH=$PATH:/usr/local/go/bin chroot w1-go/all sh -c 'cd /src && go build -o app app.go'",
  ].join(' && ');
  return { name: 'the compiler alone', script: `unshare -m bash -e -c "${script.replaceAll('$', '\\$')}"` };
}

function twoStages(place: Place, name: string, image: string, command: string, target: number, floor: Floor): Case {
  const context = writeFiles(join(place.dir, `w1-${name.replaceAll(' ', '-')}`), {
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
    compare: () => ({ context, output: { kind: 'none' } }),
    floors: [floor],
  };
}
