/** Scans an upper directory and writes its tree where the store expects it; large ones on a thread. */
import { closeSync, openSync, renameSync, writeSync } from 'node:fs';
import type { Tree } from '../../contracts/index.ts';
import { encodeTree } from '../../store/index.ts';
import { asBuildError } from '../../sys/errno.ts';
import { pruneUpper, scanUpper, type ScanInput, type ScanResult } from './scan.ts';
import { onThread } from './threads.ts';

export interface SaveInput extends ScanInput {
  readonly treePath: string;
}

/** Entries that are read on the event loop; more would hold up other steps for longer than a thread takes to start. */
const INLINE_LIMIT = 2000;

/** @returns Bytes of the layer's own files. */
export async function saveUpperTree(input: SaveInput): Promise<number> {
  const scanned = scanUpper(input, INLINE_LIMIT);
  return scanned === undefined ? onThread('scan', input) : save(input, scanned);
}

/** On the thread. */
export function saveNow(input: SaveInput): number {
  const scanned = scanUpper(input);
  return scanned === undefined ? 0 : save(input, scanned);
}

function save(input: SaveInput, scanned: ScanResult): number {
  pruneUpper(scanned);
  writeTree(input.treePath, scanned.tree);
  return scanned.size;
}

/** Temporary name, then rename: a tree file is whole or not there. */
export function writeTree(path: string, tree: Tree): void {
  const draft = `${path}.new`;
  try {
    const fd = openSync(draft, 'w', 0o600);
    try {
      const bytes = encodeTree(tree);
      for (let written = 0; written < bytes.length;) written += writeSync(fd, bytes, written);
    } finally {
      closeSync(fd);
    }
    renameSync(draft, path);
  } catch (error) {
    throw asBuildError(error, 'write the tree of a layer');
  }
}
