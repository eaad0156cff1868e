/** A cache in a directory: an OCI image layout (image-layout.md) with an entry for each tag. */
import { randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest } from '../../contracts/index.ts';
import type { Digest, ExportContext } from '../../contracts/index.ts';
import { MEDIA_TYPES, parseDocument, parseIndex } from '../../image/index.ts';
import type { Descriptor } from '../../image/index.ts';
import type { Store } from '../../store/index.ts';
import { errnoOf } from '../../sys/errno.ts';
import { closeLockFile, openLockFile, waitFlock } from '../../sys/flock.ts';
import { inParallel } from '../in-parallel.ts';
import { reported } from '../progress-report.ts';
import { destinationError } from '../sink.ts';
import { fetchBlob } from './blob-source.ts';
import type { CacheBlob } from './collect.ts';
import type { CacheDocuments } from './documents.ts';
import type { LocalCache } from './target.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
/** Several builds may write to one directory. */
const LOCK = '.slipway.lock';
const PARALLEL = 4;

/** Blobs that are there stay; the index comes last, and the tag leads to the new cache from then on. */
export async function writeCacheLayout(
  { dest, tag, reset }: LocalCache,
  blobs: readonly CacheBlob[],
  documents: CacheDocuments,
  store: Store,
  { signal, events }: ExportContext,
): Promise<void> {
  try {
    await mkdir(join(dest, 'blobs/sha256'), { recursive: true });
    const lock = openLockFile(join(dest, LOCK));
    try {
      await waitFlock(lock, false, signal);
      await reported(events, `writing layers to ${dest}`, () =>
        inParallel(
          blobs.map((source) => () => copyBlob(dest, source, store)),
          PARALLEL,
        ),
      );
      await writeBlob(dest, documents.config.digest, documents.configBytes);
      await writeBlob(dest, documents.manifest.digest, documents.manifestBytes);
      if (!existsSync(join(dest, 'oci-layout'))) {
        await writeWhole(join(dest, 'oci-layout'), (path) => writeFile(path, '{"imageLayoutVersion":"1.0.0"}'));
      }
      const manifests = await tagged(dest, documents.manifest, tag);
      const index = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
      await writeWhole(join(dest, 'index.json'), (path) => writeFile(path, index));
      if (reset) await removeUnnamed(dest, manifests);
    } finally {
      closeLockFile(lock);
    }
  } catch (error) {
    throw destinationError(error, dest);
  }
}

async function copyBlob(dest: string, source: CacheBlob, store: Store): Promise<void> {
  const { digest, size } = source.blob;
  const path = blobPath(dest, digest);
  // A blob's name is its content; one of another size was cut short by something.
  if ((await stat(path).catch(() => undefined))?.size === size) return;
  await fetchBlob(source, store);
  await writeWhole(path, (temporary) => copyFile(store.blobPath(digest), temporary, constants.COPYFILE_FICLONE));
}

async function writeBlob(dest: string, digest: Digest, data: Uint8Array): Promise<void> {
  await writeWhole(blobPath(dest, digest), (path) => writeFile(path, data));
}

function blobPath(dest: string, digest: Digest): string {
  return join(dest, 'blobs/sha256', digest.slice('sha256:'.length));
}

async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** What the index holds, with the tag moved to the new cache. */
async function tagged(dest: string, manifest: Descriptor, tag: string): Promise<readonly Descriptor[]> {
  const path = join(dest, 'index.json');
  const bytes = await readFile(path).catch((error: unknown) => {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw error;
  });
  const before = bytes === undefined ? [] : parseIndex(bytes, { name: path, code: 'export' }).manifests;
  const kept = before.filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
  return [...kept, { ...manifest, annotations: { [REF_NAME]: tag } }];
}

/** Blobs that no entry of the index leads to. Nothing is removed when an entry cannot be followed. */
async function removeUnnamed(dest: string, manifests: readonly Descriptor[]): Promise<void> {
  const named = new Set<string>();
  const queue = [...manifests];
  for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
    if (named.has(next.digest)) continue;
    named.add(next.digest);
    const isDocument = /(manifest|index|manifest\.list)\.v\d\+json$/.test(next.mediaType);
    if (!isDocument) continue;
    const found = parseDocument(await readFile(blobPath(dest, next.digest)), next.mediaType, { name: next.digest });
    if (found.kind === 'index') queue.push(...found.document.manifests);
    else for (const { digest } of [found.document.config, ...found.document.layers]) named.add(digest);
  }
  for (const name of await readdir(join(dest, 'blobs/sha256'))) {
    const digest = `sha256:${name}`;
    if (isDigest(digest) && !named.has(digest)) await rm(blobPath(dest, digest), { force: true });
  }
}
