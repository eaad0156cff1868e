import { createHash } from 'node:crypto';
import { closeSync, constants, fstatSync, readSync } from 'node:fs';
import type { Digest, TreePath } from '../../contracts/index.ts';
import { compress } from '../../image/index.ts';
import type { MountPack } from '../../image/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';

const CHUNK = 256 * 1024;
/** zstd; caches of package managers are mostly compressed already. */
const LEVEL = 2;

/** What a file holds. */
export interface Content {
  readonly digest: Digest;
  readonly size: number;
}

/**
 * A file's bytes as they are now: at most those that it has when it is opened, as somebody may go on writing to it.
 *
 * @returns False for what is no file any more.
 */
function* chunksOf(root: ConfinedRoot, path: TreePath): Generator<Uint8Array, boolean, undefined> {
  let fd: number;
  try {
    fd = root.open(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return false;
  }
  try {
    const stat = fstatSync(fd);
    if (!stat.isFile()) return false;
    for (let left = stat.size; left > 0;) {
      const buffer = Buffer.allocUnsafeSlow(Math.min(CHUNK, left));
      const length = readSync(fd, buffer);
      if (length === 0) break;
      left -= length;
      yield buffer.subarray(0, length);
    }
    return true;
  } finally {
    closeSync(fd);
  }
}

/** Undefined for what is no file any more. */
export function digestFile(root: ConfinedRoot, path: TreePath): Content | undefined {
  const reading = new Reading(root, path);
  const chunks = reading.chunks();
  while (chunks.next().done !== true);
  return reading.content();
}

/** A pack that was made just now. */
export interface MadePack extends MountPack {
  /** Of each path; undefined for what is no file any more. */
  readonly found: readonly (Content | undefined)[];
}

/** Packs files, and finds out what they hold in passing. */
export async function makePack(
  root: ConfinedRoot,
  paths: readonly TreePath[],
  write: (data: Uint8Array) => void,
  signal: AbortSignal,
): Promise<MadePack> {
  const found: (Content | undefined)[] = [];
  async function* plain(): AsyncGenerator<Uint8Array, void, undefined> {
    for (const path of paths) {
      signal.throwIfAborted();
      const reading = new Reading(root, path);
      yield* reading.chunks();
      found.push(reading.content());
    }
  }
  const blob = createHash('sha256');
  let size = 0;
  for await (const chunk of compress(plain(), { type: 'zstd', level: LEVEL })) {
    blob.update(chunk);
    size += chunk.length;
    write(chunk);
  }
  const contents = found.filter((content) => content !== undefined);
  return { digest: `sha256:${blob.digest('hex')}`, size, contents, found };
}

class Reading {
  readonly #root: ConfinedRoot;
  readonly #path: TreePath;
  readonly #hasher = createHash('sha256');
  #size = 0;
  #isFile = false;

  constructor(root: ConfinedRoot, path: TreePath) {
    this.#root = root;
    this.#path = path;
  }

  *chunks(): Generator<Uint8Array, void, undefined> {
    const chunks = chunksOf(this.#root, this.#path);
    for (let next = chunks.next(); ; next = chunks.next()) {
      if (next.done === true) {
        this.#isFile = next.value;
        return;
      }
      this.#hasher.update(next.value);
      this.#size += next.value.length;
      yield next.value;
    }
  }

  /** After the last chunk. */
  content(): Content | undefined {
    return this.#isFile ? { digest: `sha256:${this.#hasher.digest('hex')}`, size: this.#size } : undefined;
  }
}
