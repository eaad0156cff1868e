import { createHash } from 'node:crypto';
import { BuildError } from '../../contracts/index.ts';
import {
  INDEX_SIZE_MAX,
  MOUNT_CONFIG,
  MOUNT_INDEX,
  decodeMountIndex,
  decompress,
  mountTag,
  parseDocument,
} from '../../image/index.ts';
import type { Descriptor, MountIndex } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import { resolveInLayout } from '../image/layout.ts';
import { layoutOrigin, registryOrigin, streamBlob } from '../image/origin.ts';
import type { Origin } from '../image/origin.ts';
import type { FoundMount, MountPlace } from './types.ts';

export interface FindDeps {
  readonly registry: Registry;
  readonly signal: AbortSignal;
}

/** As `host/repository:tag`. */
export function mountName(place: MountPlace, scope: string, id: string): string {
  const tag = mountTag(place.prefix, scope, id);
  return place.type === 'registry' ? `${place.repository}:${tag}` : `oci-layout://${place.directory}:${tag}`;
}

/**
 * Looks for a cache mount: its manifest only.
 *
 * @param id As in the graph.
 * @returns Undefined where there is none.
 * @throws BuildError `registry`, `auth`, `hostile`, `digest-mismatch`, `context`
 */
export async function findMount(
  place: MountPlace,
  scope: string,
  id: string,
  deps: FindDeps,
): Promise<FoundMount | undefined> {
  const { registry, signal } = deps;
  const tag = mountTag(place.prefix, scope, id);
  const name = mountName(place, scope, id);
  let descriptor: Pick<Descriptor, 'digest'>;
  let origin: Origin;
  try {
    if (place.type === 'registry') {
      origin = registryOrigin(registry, place.repository);
      descriptor = await registry.resolve(place.repository, tag, { signal });
    } else {
      origin = layoutOrigin(place.directory);
      descriptor = await resolveInLayout({ path: place.directory, tag, digest: undefined });
    }
  } catch (error) {
    if (error instanceof BuildError && error.code === 'image-not-found') return undefined;
    throw error;
  }
  const { digest } = descriptor;
  const layers = once(async () => {
    const subject = { name: `the cache mount ${name}`, code: 'hostile' } as const;
    const found = parseDocument(await origin.manifest(digest, { signal }), undefined, subject);
    if (found.kind === 'manifest' && found.document.config.mediaType === MOUNT_CONFIG) return found.document.layers;
    throw new BuildError({ code: 'hostile', message: `${name} is no cache mount` });
  });
  const index = once(async (): Promise<MountIndex> => {
    const held = await layers();
    const [own, ...packs] = held;
    if (own?.mediaType !== MOUNT_INDEX) throw new BuildError({ code: 'hostile', message: `${name} has no index` });
    const bytes = await collect(decompress(verified(own), { name }), name);
    const decoded = decodeMountIndex(bytes, { name: `the index of ${name}` });
    const known = new Map(packs.map((pack) => [pack.digest, pack.size]));
    for (const pack of decoded.packs) {
      if (known.get(pack.digest) === pack.size) continue;
      throw new BuildError({
        code: 'hostile',
        message: `${name} names ${pack.digest}, which its manifest does not hold`,
      });
    }
    return decoded;
  });

  async function* verified(blob: Pick<Descriptor, 'digest' | 'size'>): AsyncGenerator<Uint8Array, void, undefined> {
    const hasher = createHash('sha256');
    for await (const chunk of streamBlob([origin.name], blob, registry, { signal })) {
      hasher.update(chunk);
      yield chunk;
    }
    const found = `sha256:${hasher.digest('hex')}`;
    if (found === blob.digest) return;
    throw new BuildError({ code: 'digest-mismatch', message: `the content of ${blob.digest} has the digest ${found}` });
  }

  return { name, digest, index, contents: (pack) => decompress(verified(pack), { name }) };
}

function once<T>(work: () => Promise<T>): () => Promise<T> {
  let started: Promise<T> | undefined;
  return () => (started ??= work());
}

async function collect(source: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const parts: Uint8Array[] = [];
  let size = 0;
  for await (const part of source) {
    size += part.length;
    if (size > INDEX_SIZE_MAX) throw new BuildError({ code: 'hostile', message: `the index of ${name} is too large` });
    parts.push(part);
  }
  return Buffer.concat(parts);
}
