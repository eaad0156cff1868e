import { BuildError, type Digest } from '../../contracts/index.ts';
import { isForeignLayer, parseDocument, platformFits, parseReference, referenceToString } from '../../image/index.ts';
import { vertex } from '../../llb/index.ts';
import { hostPlatform, parsePlatform, platformText } from '../inputs/platform.ts';
import { now } from '../records/steps.ts';
import { withRooms } from './rooms.ts';
import type { PulledImage, PullOptions } from './types.ts';

/**
 * Pulls an image with all its layers for one platform, and keeps it under its name as something that the user asked for.
 *
 * @throws BuildError `image-not-found`, `registry`, `auth`, `digest-mismatch`, `hostile`, `usage`
 */
export async function pullImage(name: string, options: PullOptions = {}): Promise<PulledImage> {
  const full = referenceToString(parseReference(name));
  const platform = options.platform === undefined ? hostPlatform() : parsePlatform(options.platform);
  return await withRooms(options, async ({ store, sources, events, signal }) => {
    const before = store.image(full)?.digest;
    const image = await sources.resolveImage(full, platform, 'docker-image', undefined);
    if (options.platform !== undefined && !platformFits(image.config, platform)) {
      const { os, architecture, variant } = image.config;
      throw new BuildError({
        code: 'image-not-found',
        message: `${name} has no image for ${platformText(platform)}`,
        hint: `it is for ${platformText({ os, architecture, variant })}`,
      });
    }
    const source = vertex({ kind: 'source', identifier: `docker-image://${image.ref}`, attrs: {} }, [], { platform });
    const shown = {
      type: 'vertex',
      digest: source.digest,
      inputs: [],
      name: `pulling ${full}`,
      started: now(),
    } as const;
    events(shown);
    try {
      const { layers } = await sources.imageSnapshot(source, { signal, events, location: undefined });
      const foreign = layers.filter(({ id }) => store.layer(id)?.blobs.every(isForeignLayer) === true);
      for (const { id } of foreign) {
        const digest = store.layer(id)?.blobs[0]?.digest ?? id;
        events({ type: 'warning', vertex: source.digest, message: `the foreign layer ${digest} is not pulled` });
      }
      const own = layers.filter((layer) => !foreign.includes(layer));
      await Promise.all(own.map(async (layer) => await layer.blob()));
      events({ ...shown, completed: now() });
    } catch (error) {
      events({ ...shown, completed: now(), error: error instanceof Error ? error.message : String(error) });
      throw error;
    }
    const mediaType = await mediaTypeOf(image.digest, full, store);
    store.saveImage({ name: full, digest: image.digest, mediaType, created: Date.now(), origin: 'build' });
    store.sync();
    return { name: full, digest: image.digest, isNew: before !== image.digest, platform: platformText(platform) };
  });
}

async function mediaTypeOf(
  digest: Digest,
  name: string,
  store: { readBlob(digest: Digest): Promise<Uint8Array> },
): Promise<string> {
  const subject = { name: `the manifest of ${name}`, code: 'store' } as const;
  return parseDocument(await store.readBlob(digest), undefined, subject).mediaType;
}
