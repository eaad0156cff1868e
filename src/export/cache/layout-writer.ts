/** An OCI image layout (image-layout.md) that several builds may write to, with an entry for each tag. */
import { randomBytes } from 'node:crypto';
import { constants, existsSync } from 'node:fs';
import { copyFile, mkdir, readFile, readdir, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { isDigest } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { MEDIA_TYPES, parseDocument, parseIndex } from '../../image/index.ts';
import type { Descriptor } from '../../image/index.ts';
import { errnoOf } from '../../sys/errno.ts';
import { closeLockFile, openLockFile, waitFlock } from '../../sys/flock.ts';
import { destinationError } from '../sink.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';
/** Several builds may write to one directory. */
const LOCK = '.slipway.lock';

export interface LayoutWriter {
  /** A blob of this size is there. */
  has(digest: Digest, size: number): Promise<boolean>;
  /** Copies a file that is this blob. */
  putFile(digest: Digest, path: string): Promise<void>;
  put(digest: Digest, data: Uint8Array): Promise<void>;
  /** Blobs come first: from here on the tag leads to the manifest. */
  tag(manifest: Descriptor, tag: string): Promise<void>;
  /** Removes blobs that no entry of the index leads to; nothing when an entry cannot be followed. */
  removeUnnamed(): Promise<void>;
}

/**
 * Makes the layout where there is none, and writes to it alone.
 *
 * @throws BuildError `export`, `permission`, `disk-full`
 */
export async function writeLayout<T>(
  directory: string,
  signal: AbortSignal,
  work: (layout: LayoutWriter) => Promise<T>,
): Promise<T> {
  try {
    await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
    const lock = openLockFile(join(directory, LOCK));
    try {
      await waitFlock(lock, false, signal);
      if (!existsSync(join(directory, 'oci-layout'))) {
        await writeWhole(join(directory, 'oci-layout'), (path) => writeFile(path, '{"imageLayoutVersion":"1.0.0"}'));
      }
      return await work(layoutIn(directory));
    } finally {
      closeLockFile(lock);
    }
  } catch (error) {
    throw destinationError(error, directory);
  }
}

function layoutIn(directory: string): LayoutWriter {
  const blobPath = (digest: Digest): string => join(directory, 'blobs/sha256', digest.slice('sha256:'.length));
  const indexPath = join(directory, 'index.json');

  async function entries(): Promise<readonly Descriptor[]> {
    const bytes = await readFile(indexPath).catch((error: unknown) => {
      if (errnoOf(error) === 'ENOENT') return undefined;
      throw error;
    });
    return bytes === undefined ? [] : parseIndex(bytes, { name: indexPath, code: 'export' }).manifests;
  }

  return {
    // A blob's name is its content; one of another size was cut short by something.
    has: async (digest, size) => (await stat(blobPath(digest)).catch(() => undefined))?.size === size,
    putFile: (digest, path) =>
      writeWhole(blobPath(digest), (temporary) => copyFile(path, temporary, constants.COPYFILE_FICLONE)),
    put: (digest, data) => writeWhole(blobPath(digest), (temporary) => writeFile(temporary, data)),

    async tag(manifest, tag) {
      const kept = (await entries()).filter(({ annotations }) => annotations?.[REF_NAME] !== tag);
      const manifests = [...kept, { ...manifest, annotations: { [REF_NAME]: tag } }];
      const index = JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests });
      await writeWhole(indexPath, (temporary) => writeFile(temporary, index));
    },

    async removeUnnamed() {
      const named = new Set<string>();
      const queue = [...(await entries())];
      for (let next = queue.pop(); next !== undefined; next = queue.pop()) {
        if (named.has(next.digest)) continue;
        named.add(next.digest);
        const isDocument = /(manifest|index|manifest\.list)\.v\d\+json$/.test(next.mediaType);
        if (!isDocument) continue;
        const found = parseDocument(await readFile(blobPath(next.digest)), next.mediaType, { name: next.digest });
        if (found.kind === 'index') queue.push(...found.document.manifests);
        else for (const { digest } of [found.document.config, ...found.document.layers]) named.add(digest);
      }
      for (const name of await readdir(join(directory, 'blobs/sha256'))) {
        const digest = `sha256:${name}`;
        if (isDigest(digest) && !named.has(digest)) await rm(blobPath(digest), { force: true });
      }
    },
  };
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
