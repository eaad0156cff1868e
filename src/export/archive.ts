import { copyFile, mkdir, readFile, rename, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { Digest, Exporter } from '../contracts/index.ts';
import { familiarString, MEDIA_TYPES, referenceToString, type Descriptor, type Reference } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { exportError, openDestination } from './destination.ts';
import type { ExporterDeps } from './exporter.ts';
import { makeImage, type MadeImage } from './make-image.ts';
import type { OutputSpec } from './output.ts';
import { status } from './status.ts';
import { allNames, imageResult } from './store-image.ts';
import { TarFile } from './tar-file.ts';

type ArchiveSpec = Extract<OutputSpec, { type: 'oci' | 'docker' }>;

/** A file of an archive: bytes, or a blob of the store. */
type Entry = { readonly name: string } & (
  { readonly data: Uint8Array } | { readonly blob: Digest; readonly size: number }
);

/**
 * `type=oci`: an OCI layout (image-layout.md) as a tar or a directory. `type=docker`: the same with the `manifest.json`
 * that `docker load` reads; both kinds of readers accept it.
 */
export function archiveExporter(spec: ArchiveSpec, deps: ExporterDeps): Exporter {
  const names = allNames(spec, deps);
  return {
    name: `exporting to ${spec.type} image format`,
    export: async (input, context) => {
      const image = await makeImage(input, { ...spec, lazy: false }, { store: deps.store, context });
      const entries = layoutEntries(image, names, spec.type === 'docker');
      const report = status(context.events, spec.dest === '-' ? 'sending tarball' : `writing ${spec.dest}`);
      if (spec.tar) await writeTar(entries, spec.dest, deps);
      else await writeDirectory(entries, spec.dest, deps.store);
      report.done();
      return imageResult(image, names);
    },
  };
}

/** In a fixed order; what is in the image twice is written once. */
function layoutEntries(image: MadeImage, names: readonly Reference[], docker: boolean): readonly Entry[] {
  const blobPath = (digest: Digest) => `blobs/${digest.replace(':', '/')}`;
  const blobs = new Map<string, Entry>();
  for (const { digest, size } of image.manifest.layers)
    blobs.set(blobPath(digest), { name: blobPath(digest), blob: digest, size });
  blobs.set(blobPath(image.config.digest), { name: blobPath(image.config.digest), data: image.configBytes });
  blobs.set(blobPath(image.descriptor.digest), { name: blobPath(image.descriptor.digest), data: image.manifestBytes });
  const entries: Entry[] = [...blobs.values()].sort((a, b) => (a.name < b.name ? -1 : 1));
  entries.push({
    name: 'index.json',
    data: json({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: indexEntries(image, names) }),
  });
  if (docker) {
    const legacy = {
      Config: blobPath(image.config.digest),
      RepoTags: names.map(familiarString),
      Layers: image.manifest.layers.map((layer) => blobPath(layer.digest)),
    };
    entries.push({ name: 'manifest.json', data: json([legacy]) });
  }
  entries.push({ name: 'oci-layout', data: json({ imageLayoutVersion: '1.0.0' }) });
  return entries;
}

/** As BuildKit writes them (exporter/oci): the full name for containerd, the tag for everybody else. */
function indexEntries(image: MadeImage, names: readonly Reference[]): readonly Descriptor[] {
  const { created } = JSON.parse(Buffer.from(image.configBytes).toString('utf8')) as { readonly created: string };
  const annotations = { 'org.opencontainers.image.created': created };
  if (names.length === 0) return [{ ...image.descriptor, annotations }];
  return names.map((name) => ({
    ...image.descriptor,
    annotations: {
      'io.containerd.image.name': referenceToString(name),
      ...annotations,
      'org.opencontainers.image.ref.name': name.tag ?? 'latest',
    },
  }));
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}

async function writeTar(entries: readonly Entry[], dest: string, { store, stdout }: ExporterDeps): Promise<void> {
  const destination = await openDestination(dest, stdout);
  try {
    const tar = new TarFile(destination);
    await tar.directory('blobs');
    await tar.directory('blobs/sha256');
    for (const entry of entries) {
      if ('data' in entry) await tar.data(entry.name, entry.data);
      else await tar.file(entry.name, store.blobPath(entry.blob), entry.size);
    }
    await tar.end();
    await destination.commit();
  } catch (error) {
    await destination.abort();
    throw exportError(dest, error);
  }
}

/** Blobs first, `index.json` last: a reader never finds an index whose blobs are not there. */
async function writeDirectory(entries: readonly Entry[], dest: string, store: Store): Promise<void> {
  try {
    await mkdir(join(dest, 'blobs/sha256'), { recursive: true });
    const ordered = [...entries].sort((a, b) => Number(a.name === 'index.json') - Number(b.name === 'index.json'));
    for (const entry of ordered) {
      const path = join(dest, entry.name);
      const partial = `${path}.${process.pid}.partial`;
      if ('data' in entry) {
        if (await holds(path, entry.data)) continue;
        await writeFile(partial, entry.data);
      } else {
        await copyFile(store.blobPath(entry.blob), partial);
      }
      await rename(partial, path);
    }
  } catch (error) {
    throw exportError(dest, error);
  }
}

async function holds(path: string, data: Uint8Array): Promise<boolean> {
  return await readFile(path).then(
    (found) => Buffer.from(data).equals(found),
    () => false,
  );
}
