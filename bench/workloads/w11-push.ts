import { writeFiles } from '../files.ts';
import type { BuildRequest, Workload } from '../types.ts';
import { largeStep } from './w05-export.ts';

/** An image that is built, to a registry. */
export const push: Workload = {
  id: 'W11',
  title: 'Push of a 1 GB image',
  short: false,
  async prepare(place) {
    const context = largeStep(place, 'w11', 64);
    const request = (registry: string): BuildRequest => ({
      context,
      output: { kind: 'push', name: `${registry}/w11:latest` },
    });
    const fill = { context, output: { kind: 'none' } } as const;
    return [
      {
        name: 'first',
        target: 0.8,
        runs: 3,
        // Built, but packed for nobody yet.
        before: async (tool, run) => {
          writeFiles(context, { nonce: `${run}\n` });
          await place.emptyRegistry();
          await place.run(tool, fill);
        },
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
      },
      {
        name: 'again',
        runs: 5,
        warm: true,
        before: (tool) => place.run(tool, request(place.registry)),
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
      },
    ];
  },
};
