import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { BuildRequest, Workload } from '../types.ts';
import { pushLayers } from './images.ts';

/** A base image that nobody has yet. */
export const coldPull: Workload = {
  id: 'W9',
  title: 'Cold pull of a 240 MB image, RUN on it',
  short: false,
  async prepare(place) {
    await pushLayers(place, 'w9', 1, 240, place.baseImage);
    const request = (registry: string): BuildRequest => ({
      context: writeFiles(join(place.dir, 'w9'), { Dockerfile: `FROM ${registry}/w9:latest\nRUN true\n` }),
      output: { kind: 'none' },
    });
    const blob = `$(ls -S $(find registry -name data) | head -1)`;
    return [
      {
        name: 'RUN true',
        target: 0.9,
        runs: 3,
        before: (tool) => tool.prune(),
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
        floors: [
          {
            name: 'sha256sum, unpigz, tar',
            script: `rm -rf w9-out; mkdir w9-out; unpigz <${blob} | tar -C w9-out -xf -; sha256sum ${blob}`,
          },
        ],
      },
    ];
  },
};
