import { BuildError } from '../../contracts/index.ts';
import { hashFile } from './hash-file.ts';
import type { ThreadPool } from './thread-pool.ts';

/** A file to hash: its host path in tree form, and its size as it was seen. */
export interface FileToHash {
  readonly path: string;
  readonly size: number;
}

/** What a thread is asked, and answers. */
export interface HashRequest {
  readonly kind: 'hash';
  readonly paths: readonly string[];
}
export interface HashAnswer {
  /** 32 bytes a file, in the order asked. */
  readonly digests: Uint8Array<ArrayBuffer>;
  /** Bytes read, or -1 where reading failed. */
  readonly sizes: Float64Array<ArrayBuffer>;
  /** `errno` names by index. */
  readonly failures: readonly (readonly [number, string])[];
}

/** Hashes files with synchronous calls, on this thread while that is quicker than starting others. */
export interface FileHasher {
  /**
   * sha256 of each file, in the order asked, {@link HASH_BYTES} each.
   *
   * @throws BuildError `permission` or `context` with the path; `context` when a file is of another size than said.
   */
  hash(files: readonly FileToHash[], signal: AbortSignal): Promise<Uint8Array>;
}

export const HASH_BYTES = 32;

/** Rough costs, to choose: nanoseconds to open, stat and close a small file; to read and hash a byte. */
const FILE_COST = 6000;
const BYTE_COST = 1;
/** A thread takes 25 ms to start; below this much work (nanoseconds) it does not pay. */
const INLINE_COST_MAX = 45e6;
/** Work handed over at once: enough to hide the messages, little enough that threads end together. */
const BATCH_COST = 20e6;

/** @param inlineCostMax Nanoseconds of estimated work up to which no thread is used. */
export function createFileHasher(pool: ThreadPool, inlineCostMax = INLINE_COST_MAX): FileHasher {
  return {
    async hash(files, signal) {
      const results = new Uint8Array(files.length * HASH_BYTES);
      const cost = files.reduce((sum, file) => sum + costOf(file), 0);
      if (cost <= inlineCostMax) {
        for (const [i, file] of files.entries()) results.set(checked(file, hashFile(file.path)), i * HASH_BYTES);
        return results;
      }
      const batches = batchesOf(files);
      const threads = Math.min(pool.size, batches.length);
      let next = 0;
      const work = async (): Promise<void> => {
        for (let batch = batches[next++]; batch !== undefined; batch = batches[next++]) {
          const { from, to } = batch;
          const paths = files.slice(from, to).map((file) => file.path);
          const answer = await pool.ask({ kind: 'hash', paths }, threads, signal);
          const failures = new Map(answer.failures);
          for (let i = from; i < to; i++) {
            const file = files[i];
            if (file === undefined) continue;
            const at = i - from;
            const size = answer.sizes[at] ?? -1;
            const failure = failures.get(at);
            if (failure !== undefined || size !== file.size) checked(file, failure ?? { digest: answer.digests, size });
          }
          results.set(answer.digests, from * HASH_BYTES);
        }
      };
      await Promise.all(Array.from({ length: threads * 2 }, work));
      return results;
    },
  };
}

function costOf(file: FileToHash): number {
  return FILE_COST + file.size * BYTE_COST;
}

function batchesOf(files: readonly FileToHash[]): readonly { readonly from: number; readonly to: number }[] {
  const batches: { from: number; to: number }[] = [];
  let from = 0;
  let cost = 0;
  for (const [i, file] of files.entries()) {
    cost += costOf(file);
    if (cost < BATCH_COST && i < files.length - 1) continue;
    batches.push({ from, to: i + 1 });
    from = i + 1;
    cost = 0;
  }
  return batches;
}

function checked(
  file: FileToHash,
  result: string | { readonly digest: Uint8Array; readonly size: number },
): Uint8Array {
  if (typeof result === 'string') {
    const denied = result === 'EACCES' || result === 'EPERM';
    throw new BuildError({
      code: denied ? 'permission' : 'context',
      message: denied ? `${file.path} cannot be read: permission denied` : `${file.path} cannot be read (${result})`,
      hint: denied
        ? 'make it readable, or exclude it in .dockerignore'
        : result === 'ENOENT'
          ? 'it was removed while the build was reading it; build again'
          : undefined,
    });
  }
  if (result.size !== file.size) {
    throw new BuildError({
      code: 'context',
      message: `${file.path} changed while the build was reading it`,
      hint: 'build again when nothing writes to it, or exclude it in .dockerignore',
    });
  }
  return result.digest;
}
