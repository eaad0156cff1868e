import { writeFiles } from '../files.ts';
import type { BuildRequest, Floor, Place, Tool, Workload } from '../types.ts';
import { emptyScript } from './floors.ts';
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
    // Each tool's own name: what is read back is what it pushed.
    const compare = ({ id }: Tool): BuildRequest => ({
      context,
      output: { kind: 'push', name: `${place.registry}/w11-${id}:latest` },
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
        compare,
        floors: [uploadFloor(place, 6), uploadFloor(place, 1)],
      },
      {
        name: 'again',
        runs: 5,
        warm: true,
        before: (tool) => place.run(tool, request(place.registry)),
        request: () => request(place.registry),
        traffic: (_, registry) => request(registry),
        compare,
        floors: [
          emptyScript(place),
          {
            name: 'curl for the manifest',
            script: `curl -sSf -I -H 'Accept: */*, application/vnd.oci.image.manifest.v1+json, application/vnd.oci.image.index.v1+json, application/vnd.docker.distribution.manifest.v2+json' ${place.registry}/v2/w11/manifests/latest`,
          },
        ],
      },
    ];
  },
};

/** The same bytes, packed, with both digests, to the registry in one upload. */
function uploadFloor(place: Place, level: number): Floor {
  const times = place.small ? 3 : 32;
  const location = "tr -d '\\r' | sed -n 's/^location: *//ip'";
  const script = [
    `at=$(curl -sSf -i -X POST http://${place.registry}/v2/w11-floor/blobs/uploads/ | ${location})`,
    `at=$(for i in $(seq ${times}); do cat w11/text w11/noise; done | tee >(sha256sum >&2) | pigz -${level} | tee >(sha256sum | cut -c -64 >w11-digest) | curl -sSf -i -X PATCH -H 'Content-Type: application/octet-stream' -H 'Expect:' -T - "$at" | ${location})`,
    'curl -sSf -X PUT "$at&digest=sha256:$(cat w11-digest)"',
  ];
  return { name: `pigz -${level}, sha256sum, curl`, script: script.join('\n') };
}
