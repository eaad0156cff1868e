import { join } from 'node:path';
import { writeFiles } from '../files.ts';
import { createRandom } from '../random.ts';
import { layerUrls } from '../content.ts';
import type { Floor, Place } from '../types.ts';

/**
 * Pushes an image with layers of `megabytes` each (half text, half noise, in files of 1 MiB) and a small file `/LAYER/small`
 * in each. With Slipway: who pushes does not matter to who pulls.
 */
export async function pushLayers(
  place: Place,
  name: string,
  layers: number,
  megabytes: number,
  base: string,
): Promise<void> {
  const [slipway] = place.tools;
  if (slipway?.id !== 'slipway') throw new Error('the bench pushes its images with Slipway');
  const random = createRandom(layers * 1000 + megabytes);
  const size = place.small ? Math.ceil(megabytes / 10) : megabytes;
  const context = join(place.dir, `image-${name}`);
  for (let layer = 0; layer < layers; layer++) {
    for (let i = 0; i < size; i++) {
      // Text shrinks to 40%: five parts of it make two parts of the layer.
      const data = Buffer.concat([random.noise(700 << 10), random.text(810 << 10)]);
      writeFiles(context, { [`${layer}/f${i}`]: data });
    }
    writeFiles(context, { [`${layer}/small`]: `layer ${layer}\n` });
  }
  writeFiles(context, {
    Dockerfile: [`FROM ${base}`, ...Array.from({ length: layers }, (_, i) => `COPY ${i} /${i}`), ''].join('\n'),
  });
  await place.run(slipway, { context, output: { kind: 'push', name: `${place.registry}/${name}:latest` } });
}

/**
 * What a pull of the image's last layers needs: each from the registry, verified, inflated, and given to the command of
 * `into`, which reads a tar. The second has the digest of the tar as well, which the config of an image names.
 */
export async function pullFloors(place: Place, name: string, layers: number, into: Floor): Promise<readonly Floor[]> {
  const urls = (await layerUrls(`${place.registry}/${name}:latest`)).slice(-layers);
  const pipe = (rest: string) =>
    urls.map((url) => `curl -sSf ${url} | tee >(sha256sum >&2) | unpigz | ${rest}${into.script} >/dev/null`).join('; ');
  return [
    { ...into, script: pipe('') },
    { ...into, name: 'and sha256sum of the tar', script: pipe('tee >(sha256sum >&2) | ') },
  ];
}
