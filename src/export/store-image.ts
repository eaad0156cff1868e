import { createReadStream } from 'node:fs';
import { BuildError, type ExportContext, type ExportResult, type Exporter } from '../contracts/index.ts';
import { familiarString, parseReference, referenceToString, repositoryName, type Reference } from '../image/index.ts';
import type { ExporterDeps } from './exporter.ts';
import { makeImage, type MadeImage } from './make-image.ts';
import type { OutputSpec } from './output.ts';
import { status } from './status.ts';

type ImageSpec = Extract<OutputSpec, { type: 'image' }>;

/** Blobs uploaded at once. */
const PUSHED_AT_ONCE = 4;

/** Into the local store under its names, and from there to their registries when `push` says so. */
export function imageExporter(spec: ImageSpec, deps: ExporterDeps): Exporter {
  const names = allNames(spec, deps);
  if (spec.push && names.length === 0)
    throw new BuildError({
      code: 'usage',
      message: 'push needs a name to push to',
      hint: 'add name=REGISTRY/NAME:TAG, or -t',
    });
  return {
    name: spec.push ? 'exporting to image and pushing' : 'exporting to image',
    export: async (input, context) => {
      // What is pushed must be here; what stays may leave its base in the registry that it came from.
      const image = await makeImage(input, { ...spec, lazy: !spec.push }, { store: deps.store, context });
      if (spec.push) await push(image, names, spec, deps, context);
      for (const name of spec.pushByDigest ? [] : names) {
        deps.store.saveImage({
          name: referenceToString(name),
          digest: image.descriptor.digest,
          mediaType: image.descriptor.mediaType,
          created: Date.now(),
          origin: 'build',
        });
        status(context.events, `naming to ${familiarString(name)}`).done();
      }
      return imageResult(image, names);
    },
  };
}

/** Those of `-t` and of `name=`, each once. */
export function allNames(spec: { readonly names: readonly string[] }, deps: ExporterDeps): readonly Reference[] {
  const references = [...deps.names, ...spec.names].map(parseReference);
  const seen = new Map(references.map((reference) => [referenceToString(reference), reference]));
  for (const [text, reference] of seen) {
    if (reference.digest !== undefined)
      throw new BuildError({
        code: 'usage',
        message: `${text}: an image is named by a tag; its digest comes of itself`,
      });
  }
  return [...seen.values()];
}

export function imageResult(image: MadeImage, names: readonly Reference[]): ExportResult {
  return {
    image: {
      digest: image.descriptor.digest,
      configDigest: image.config.digest,
      mediaType: image.descriptor.mediaType,
      manifestSize: image.descriptor.size,
      layersSize: image.manifest.layers.reduce((sum, layer) => sum + layer.size, 0),
      layers: image.manifest.layers.length,
      names: names.map(familiarString),
    },
  };
}

/** Blobs first, then the manifests: a name never points to something incomplete (distribution-spec, "Pushing"). */
async function push(
  image: MadeImage,
  names: readonly Reference[],
  spec: ImageSpec,
  { store, registry }: ExporterDeps,
  context: ExportContext,
): Promise<void> {
  const repositories = new Map(names.map((name) => [repositoryName(name), name]));
  for (const repository of repositories.keys()) {
    const blobs = [image.config, ...image.manifest.layers];
    const total = blobs.reduce((sum, blob) => sum + blob.size, 0);
    const report = status(context.events, `pushing layers to ${repository}`, total);
    const sent = new Map<string, number>();
    let next = 0;
    const work = async (): Promise<void> => {
      for (let i = next++; i < blobs.length; i = next++) {
        const blob = blobs[i];
        if (blob === undefined) continue;
        const row = store.findLayer({ blob: blob.digest });
        const mountFrom =
          row === undefined
            ? []
            : (store.layer(row)?.blobs.flatMap((known) => (known.digest === blob.digest ? known.repositories : [])) ??
              []);
        const advance = (bytes: number) => {
          sent.set(blob.digest, bytes);
          report.advance([...sent.values()].reduce((sum, value) => sum + value, 0));
        };
        await registry.pushBlob(
          repository,
          { digest: blob.digest, size: blob.size, open: () => createReadStream(store.blobPath(blob.digest)) },
          { signal: context.signal, mountFrom, onProgress: advance },
        );
        advance(blob.size);
      }
    };
    await Promise.all(Array.from({ length: PUSHED_AT_ONCE }, work));
    report.done();
  }
  const manifest = { mediaType: image.descriptor.mediaType, bytes: image.manifestBytes };
  for (const name of names) {
    const report = status(context.events, `pushing manifest for ${familiarString(name)}@${image.descriptor.digest}`);
    await registry.pushManifest(
      repositoryName(name),
      spec.pushByDigest ? image.descriptor.digest : (name.tag ?? 'latest'),
      manifest,
      { signal: context.signal },
    );
    report.done();
  }
}
