import { BuildError } from '../contracts/index.ts';
import type { Exporter } from '../contracts/index.ts';
import { parseReference } from '../image/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import { exportResult, imageNames, makeImage, putDocuments } from './image.ts';
import type { ImageOutput } from './output-spec.ts';
import { reported } from './progress-report.ts';
import { pushImage } from './push.ts';

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
    async export(input, context) {
      const { store } = deps;
      const image = await makeImage(input, store, spec, context);
      await reported(context.events, `exporting manifest ${image.manifest.digest}`, () => putDocuments(image, store));
      await reported(context.events, `exporting config ${image.config.digest}`, async () => undefined);
      if (spec.push) await pushImage(image, names, { byDigest: spec.pushByDigest }, deps, context);
      if (spec.store) {
        for (const name of names) {
          const row = { name, digest: image.manifest.digest, mediaType: image.manifest.mediaType };
          store.saveImage({ ...row, created: Date.now(), origin: 'build' });
          await reported(context.events, `naming to ${name}`, async () => undefined);
        }
        store.sync();
      }
      return exportResult(image, names);
    },
  };
}
