import { createHash } from 'node:crypto';
import { closeSync, openSync, readSync } from 'node:fs';
import {
  BuildError,
  type ContentLocation,
  type FileEntry,
  type FileTree,
  type NodeEntry,
  type TreePath,
} from '../contracts/index.ts';
import { encodePath } from '../sys/path.ts';

/** Files located and written in one go; bounds memory. */
const BATCH = 1000;
const CHUNK = 1 << 20;

/** An entry with where its bytes are, if it has any. */
export interface LocatedEntry {
  readonly path: TreePath;
  readonly entry: NodeEntry;
  readonly location: ContentLocation | undefined;
}

/** Everything in a file system, parents first, in batches. */
export async function* located(files: FileTree): AsyncGenerator<readonly LocatedEntry[]> {
  let batch: (readonly [TreePath, NodeEntry])[] = [];
  const flush = async (): Promise<readonly LocatedEntry[]> => {
    const withBytes = batch.filter(([, entry]) => hasBytes(entry));
    const locations = await files.locate(withBytes.map(([path]) => path));
    const byPath = new Map(withBytes.map(([path], i) => [path, locations[i]]));
    const result = batch.map(([path, entry]) => ({ path, entry, location: byPath.get(path) }));
    batch = [];
    return result;
  };
  for (const item of await files.walk('')) {
    batch.push(item);
    if (batch.length >= BATCH) yield await flush();
  }
  if (batch.length > 0) yield await flush();
}

/** A second name of a hard-linked file has its bytes by way of the first. */
export function hasBytes(entry: NodeEntry): entry is FileEntry {
  return entry.type === 'file' && entry.hardlink === undefined && entry.size > 0;
}

/**
 * The bytes of a file, checked while they pass where the file is the user's and may have changed since it was keyed.
 * Chunks are overwritten by the next one.
 * Errors: `context` when it did.
 */
export function* contentOf(path: TreePath, entry: FileEntry, location: ContentLocation): Generator<Uint8Array> {
  if (location.kind === 'bytes') {
    yield location.data;
    return;
  }
  const hash = location.kind === 'context-file' && entry.digest !== undefined ? createHash('sha256') : undefined;
  const fd = openSync(encodePath(location.path), 'r');
  try {
    const buffer = Buffer.allocUnsafe(Math.min(CHUNK, Math.max(1, entry.size)));
    let left = entry.size;
    while (left > 0) {
      const read = readSync(fd, buffer, 0, Math.min(buffer.length, left), null);
      if (read === 0) break;
      const chunk = buffer.subarray(0, read);
      hash?.update(chunk);
      left -= read;
      yield chunk;
    }
    if (left > 0 || (hash !== undefined && `sha256:${hash.digest('hex')}` !== entry.digest)) {
      throw new BuildError({
        code: 'context',
        message: `${path} changed while it was built from`,
        hint: 'build again',
      });
    }
  } finally {
    closeSync(fd);
  }
}
