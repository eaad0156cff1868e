import { BuildError } from '../contracts/index.ts';
import type { Exporter } from '../contracts/index.ts';
import { parseReference } from '../image/index.ts';
import { earlyPush } from './early-push.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import { exportedImage, imageNames, makeImages, putDocuments } from './image.ts';
import type { ImageSet } from './image.ts';
import type { ImageOutput } from './output-spec.ts';
import { reported } from './progress-report.ts';
import { pushImages } from './push.ts';

/** `type=image`: into the local store under its names, and to their registries with `push=true`. */
export function imageExporter(spec: ImageOutput, deps: ExporterDeps): Exporter {
  const names = imageNames(deps.names, spec);
  const pinned = names.find((name) => parseReference(name).digest !== undefined);
  if (pinned !== undefined) {
    throw new BuildError({
      code: 'usage',
      message: `an image cannot be named ${pinned}`,
      hint: 'leave the digest out: it follows from the content',
    });
  }
  if (spec.push && names.length === 0) {
    throw new BuildError({ code: 'usage', message: 'a push needs a name', hint: 'add -t HOST/NAME:TAG' });
  }
  return {
    name: spec.push ? 'exporting to image and pushing' : 'exporting to image',
    async export(inputs, context) {
      const { store } = deps;
      const early = spec.push ? earlyPush(names, deps.registry, context) : undefined;
      let set: ImageSet;
      let pushed: Awaited<ReturnType<typeof pushImages>> | undefined;
      try {
        set = await makeImages(inputs, store, spec, context, names, early);
        await putDocuments(set, context, store);
        const how = { byDigest: spec.pushByDigest, refers: spec.attestationStorage === 'referrers', early };
        pushed = spec.push ? await pushImages(set, names, how, deps, context) : undefined;
      } finally {
        await early?.end();
      }
      // The store keeps the image only: what is said of it is to be asked of the registry.
      if (spec.attestationStorage === 'referrers')
        for (const name of names) store.writeFact(`referrers ${name} ${set.root.descriptor.digest}`, '');
      return {
        image: exportedImage(set, names),
        async publish(later) {
          await pushed?.publish(later);
          if (!spec.store) return;
          const { digest, mediaType } = set.root.descriptor;
          for (const name of names) {
            store.saveImage({ name, digest, mediaType, created: Date.now(), origin: 'build' });
            await reported(later.events, `naming to ${name}`, async () => undefined);
          }
          store.sync();
        },
        withdraw: pushed?.withdraw,
      };
    },
  };
}
