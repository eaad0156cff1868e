import { createReadStream } from 'node:fs';
import type { Digest, ExportContext } from '../../contracts/index.ts';
import { MEDIA_TYPES, MOUNT_CONFIG, MOUNT_INDEX, MOUNT_PACK, digestOf, encodeMountIndex } from '../../image/index.ts';
import type { Descriptor, Manifest, MountIndex } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { writeLayout } from '../cache/layout-writer.ts';
import { reportProgress } from '../progress-report.ts';
import type { NewPack } from './pack-mount.ts';
import type { SaveMount } from './types.ts';

/** zstd, of the index. */
const LEVEL = 3;

/**
 * Packs, then index and config, then the manifest under its tag.
 *
 * @returns Digest of the manifest.
 */
export async function sendMount(
  { id, name, destination }: SaveMount,
  index: MountIndex,
  made: readonly NewPack[],
  about: { readonly files: number; readonly bytes: number },
  { registry }: { readonly registry: Registry },
  { events, signal }: ExportContext,
): Promise<Digest> {
  const { constants, zstdCompressSync } = await import('node:zlib');
  const indexBytes = zstdCompressSync(encodeMountIndex(index), {
    params: { [constants.ZSTD_c_compressionLevel]: LEVEL },
  });
  const configBytes = Buffer.from(JSON.stringify({ version: 1, id, ...about }));
  const indexBlob = describe(MOUNT_INDEX, indexBytes);
  const config = describe(MOUNT_CONFIG, configBytes);
  const manifest: Manifest = {
    schemaVersion: 2,
    mediaType: MEDIA_TYPES.ociManifest,
    config,
    layers: [indexBlob, ...index.packs.map(({ digest, size }) => ({ mediaType: MOUNT_PACK, digest, size }))],
  };
  const manifestBytes = Buffer.from(JSON.stringify(manifest));
  const own = describe(MEDIA_TYPES.ociManifest, manifestBytes);
  const total = made.reduce((sum, { size }) => sum + size, indexBytes.length);
  const progress = reportProgress(events, `sending ${name}`, `sending to ${name}`);
  let done = 0;
  if (destination.type === 'local') {
    await writeLayout(destination.directory, signal, async (layout) => {
      for (const { digest, size, path } of made) {
        if (!(await layout.has(digest, size))) await layout.putFile(digest, path);
        progress.update((done += size), total);
      }
      await layout.put(indexBlob.digest, indexBytes);
      await layout.put(config.digest, configBytes);
      await layout.put(own.digest, manifestBytes);
      await layout.tag(own, destination.tag);
    });
  } else {
    const { repository, tag } = destination;
    for (const { digest, size, path } of made) {
      const open = () => createReadStream(path) as AsyncIterable<Uint8Array>;
      await registry.pushBlob(
        repository,
        { digest, size, open },
        { signal, onProgress: (bytes) => progress.update(done + bytes, total) },
      );
      done += size;
    }
    for (const [blob, data] of [
      [indexBlob, indexBytes],
      [config, configBytes],
    ] as const) {
      await registry.pushBlob(repository, { ...blob, open: () => once(data) }, { signal });
    }
    await registry.pushManifest(repository, tag, { mediaType: own.mediaType, bytes: manifestBytes }, { signal });
  }
  progress.done();
  return own.digest;
}

function describe(mediaType: string, data: Uint8Array): Descriptor {
  return { mediaType, digest: digestOf(data), size: data.length };
}

async function* once(data: Uint8Array): AsyncGenerator<Uint8Array, void, undefined> {
  yield data;
}
