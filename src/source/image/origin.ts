import type { CallOptions, Registry } from '../../registry/index.ts';
import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { CONFIG_SIZE_MAX } from '../../image/index.ts';
import type { Descriptor } from '../../image/index.ts';
import { readLayoutBlob, streamLayoutBlob } from './layout.ts';

/** Prefix of the names of layouts among the repositories of a blob (store/types.ts, `LayerRow`). */
const LAYOUT = 'oci-layout://';

/** The path of a layout among the repositories of a blob; undefined for a registry's. */
export function layoutOf(repository: string): string | undefined {
  return repository.startsWith(LAYOUT) ? repository.slice(LAYOUT.length) : undefined;
}

/** A place that documents and blobs of an image can be had from: a registry's repository, or a layout. */
export interface Origin {
  /** As blobs remember it: `docker.io/library/golang`, `oci-layout:///path`. */
  readonly name: string;
  /** A manifest or index, verified. */
  manifest(digest: Digest, options: CallOptions): Promise<Uint8Array>;
  /** A small blob, verified. */
  document(descriptor: Pick<Descriptor, 'digest' | 'size'>, options: CallOptions): Promise<Uint8Array>;
}

export function registryOrigin(registry: Registry, repository: string): Origin {
  return {
    name: repository,
    manifest: async (digest, options) => (await registry.fetchManifest(repository, digest, options)).bytes,
    async document(descriptor, options) {
      if (descriptor.size > CONFIG_SIZE_MAX) {
        throw new BuildError({
          code: 'hostile',
          message: `${descriptor.digest} of ${repository} is too large for a config`,
        });
      }
      const parts: Uint8Array[] = [];
      for await (const part of registry.fetchBlob(repository, descriptor, options)) parts.push(part);
      return Buffer.concat(parts);
    },
  };
}

export function layoutOrigin(path: string): Origin {
  return {
    name: `${LAYOUT}${path}`,
    manifest: (digest) => readLayoutBlob(path, digest),
    document: ({ digest }) => readLayoutBlob(path, digest),
  };
}

/** The bytes of a blob from the first origin that has it; whoever reads them verifies them. */
export async function* streamBlob(
  repositories: readonly string[],
  blob: { readonly digest: Digest; readonly size: number },
  registry: Registry,
  options: CallOptions,
): AsyncGenerator<Uint8Array, void, undefined> {
  let failure: unknown;
  for (const repository of repositories) {
    let begun = false;
    const layout = layoutOf(repository);
    const parts =
      layout !== undefined
        ? streamLayoutBlob(layout, blob.digest)
        : registry.fetchBlob(repository, blob, { ...options, verify: false });
    let received = 0;
    try {
      for await (const part of parts) {
        begun = true;
        received += part.length;
        options.onProgress?.(received);
        yield part;
      }
      return;
    } catch (error) {
      if (begun || (error instanceof BuildError && error.code === 'cancelled')) throw error;
      failure = error;
    }
  }
  if (failure instanceof Error) throw failure;
  const message = `layer blob ${blob.digest} is gone, and nowhere known to be had from`;
  throw new BuildError({ code: 'store', message });
}
