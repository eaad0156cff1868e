import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import type { BuildRequest, Case, Workload } from '../types.ts';
import { pullFloors, pushLayers } from './images.ts';

/** `COPY --from=IMAGE` of one small file. */
export const oneFile: Workload = {
  id: 'W10',
  title: 'COPY --from=IMAGE of one small file',
  short: false,
  async prepare(place) {
    await pushLayers(place, 'w10-one', 1, 240, 'scratch');
    await pushLayers(place, 'w10-five', 5, 50, 'scratch');
    const copy = async (name: string, image: string, file: string, target: number): Promise<Case> => {
      const request = (registry: string): BuildRequest => ({
        context: writeFiles(join(place.dir, image), {
          Dockerfile: `FROM scratch\nCOPY --from=${registry}/${image}:latest ${file} /file\n`,
        }),
        output: { kind: 'none' },
      });
      return {
        name,
        target,
        runs: 3,
        before: (tool) => tool.prune(),
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
        compare: () => request(place.registry),
        floors: await pullFloors(place, image, 1, {
          name: 'curl, sha256sum, unpigz, tar -xO',
          script: `tar -xO ${file.slice(1)}`,
        }),
      };
    };
    return [
      await copy('one layer of 240 MB', 'w10-one', '/0/small', 0.5),
      await copy('the top one of five layers of 50 MB', 'w10-five', '/4/small', 0.3),
    ];
  },
};
