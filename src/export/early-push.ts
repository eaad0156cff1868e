import type { Digest, ExportContext } from '../contracts/index.ts';
import { parseReference, repositoryName } from '../image/index.ts';
import type { Registry } from '../registry/index.ts';
import type { GrowingBlob } from '../store/index.ts';
import { reportProgress } from './progress-report.ts';

/** A smaller layer is packed before a registry has answered. Bytes of its tar. */
const EARLY_FROM = 8 * 1024 * 1024;

/** Layers that are sent to registries while they are packed. */
export interface EarlyPush {
  /** @param size Bytes that its tar will have, about. */
  readonly begin: (blob: GrowingBlob, size: number) => void;
  /** Whether a layer got to a repository so; waits for one that is on its way. */
  brought(repository: string, digest: Digest): Promise<boolean>;
  /** Stops what is still on its way. */
  end(): Promise<void>;
}

/**
 * A layer goes to the first repository of each registry: the others mount it from there. What fails is no failure of the
 * push, which sends the layer again when it is whole, and says what is wrong if it still is.
 */
export function earlyPush(names: readonly string[], registry: Registry, { events, signal }: ExportContext): EarlyPush {
  const repositories = new Map<string, string>();
  for (const reference of names.map(parseReference)) {
    if (!repositories.has(reference.domain)) repositories.set(reference.domain, repositoryName(reference));
  }
  const stop = new AbortController();
  const either = AbortSignal.any([signal, stop.signal]);
  const uploads: { readonly repository: string; readonly blob: GrowingBlob; readonly done: Promise<boolean> }[] = [];

  async function push(repository: string, blob: GrowingBlob): Promise<boolean> {
    const name = `pushing a layer to ${repository} while it is packed`;
    const before = uploads.filter((upload) => upload.repository === repository).length;
    const progress = reportProgress(events, before === 0 ? name : `${name} (${before + 1})`, name);
    try {
      await registry.pushGrowingBlob(repository, blob, {
        signal: either,
        onProgress: (sent) => progress.update(sent, 0),
      });
      const { size } = await blob.whole;
      progress.update(size, size);
      return true;
    } catch {
      return false;
    } finally {
      progress.done();
    }
  }

  return {
    begin(blob, size) {
      if (size < EARLY_FROM) return;
      for (const repository of repositories.values()) {
        uploads.push({ repository, blob, done: push(repository, blob) });
      }
    },
    async brought(repository, digest) {
      for (const { repository: to, blob, done } of uploads) {
        if (to !== repository) continue;
        const whole = await blob.whole.catch(() => undefined);
        if (whole?.digest === digest && (await done)) return true;
      }
      return false;
    },
    async end() {
      stop.abort();
      await Promise.all(uploads.map(({ done }) => done));
    },
  };
}
