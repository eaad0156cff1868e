import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { BuildRequest, Workload } from '../types.ts';
import { pullFloors, pushLayers } from './images.ts';

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
    // The base's layers and the one on it.
    const floors = await pullFloors(place, 'w9', Infinity, {
      name: 'curl, sha256sum, unpigz, tar -x',
      script: '(mkdir -p w9-out && tar -C w9-out -xf -)',
      makes: 'w9-out',
    });
    return [
      {
        name: 'RUN true',
        target: 0.9,
        runs: 3,
        before: (tool) => tool.prune(),
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
        compare: () => request(place.registry),
        floors,
      },
    ];
  },
};
