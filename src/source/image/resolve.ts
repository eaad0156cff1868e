import { BuildError } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import {
  parseDocument,
  parseImageConfig,
  parseReference,
  platformFits,
  platformToString,
  referenceToString,
  repositoryName,
  selectPlatform,
} from '../../image/index.ts';
import type { Descriptor, Document, ImageConfig, Manifest, Reference } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import type { Platform } from '../types.ts';
import { parseLayoutReference, resolveInLayout } from './layout.ts';
import { layoutOrigin, registryOrigin } from './origin.ts';
import type { Origin } from './origin.ts';

/** An image for one platform, its documents in the store, its layers wherever they are. */
export interface FoundImage {
  /** What the name points to: an index or a manifest. */
  readonly digest: Digest;
  readonly manifest: Manifest;
  readonly config: ImageConfig;
  /** Bottom to top; parallel to `manifest.layers`. */
  readonly diffIds: readonly Digest[];
  /** Where its layers can be had. */
  readonly origin: string;
}

export interface DocumentDeps {
  readonly store: Pick<Store, 'hasBlob' | 'readBlob' | 'putBlob'>;
  readonly signal: AbortSignal;
}

export interface ResolveDeps extends DocumentDeps {
  readonly store: Store;
  readonly registry: Registry;
}

/**
 * What a registry's name means for a platform. The store knows names that were built or pulled before; unless `pull` asks
 * to look again, they are used, so that a second build needs no network.
 */
export async function findRegistryImage(
  reference: Reference,
  platform: Platform,
  pull: boolean,
  deps: ResolveDeps,
): Promise<FoundImage> {
  const { store, registry, signal } = deps;
  const repository = repositoryName(reference);
  const origin = registryOrigin(registry, repository);
  const name = referenceToString(reference);
  if (reference.digest !== undefined) return openImage(reference.digest, '', name, origin, platform, deps);

  const row = pull ? undefined : store.image(name);
  if (row !== undefined && store.hasBlob(row.digest)) {
    const opened = openImage(row.digest, row.mediaType, name, origin, platform, deps);
    if (row.origin === 'pull') return opened;
    // A local build for another machine is not what was asked for; a registry may have the right one.
    const known = await opened.catch((error: unknown) => {
      if (error instanceof BuildError && error.code === 'image-not-found') return undefined;
      throw error;
    });
    if (known !== undefined && platformFits(known.config, platform)) return known;
  }
  const tag = reference.tag ?? 'latest';
  const descriptor = await registry.resolve(repository, tag, { signal });
  const found = await openImage(descriptor.digest, descriptor.mediaType, name, origin, platform, deps);
  const { digest, mediaType } = descriptor;
  // What was built under the name stays under it.
  if (store.image(name)?.origin !== 'build')
    store.saveImage({ name, digest, mediaType, created: Date.now(), origin: 'pull' });
  return found;
}

/** @param text `path[:tag][@digest]`, with or without `oci-layout://`. */
export async function findLayoutImage(text: string, platform: Platform, deps: DocumentDeps): Promise<FoundImage> {
  const reference = await parseLayoutReference(text);
  const { digest, mediaType } = await resolveInLayout(reference);
  return openImage(digest, mediaType, `oci-layout://${reference.path}`, layoutOrigin(reference.path), platform, deps);
}

/** Follows a digest to the manifest and config for a platform. */
async function openImage(
  digest: Digest,
  mediaType: string,
  name: string,
  origin: Origin,
  platform: Platform,
  deps: DocumentDeps,
): Promise<FoundImage> {
  const top = await readDocument(digest, mediaType, name, origin, deps);
  let manifest: Manifest;
  if (top.kind === 'manifest') manifest = top.document;
  else {
    const chosen = selectPlatform(top.document.manifests, platform);
    if (chosen === undefined) throw noPlatform(name, platform, top.document.manifests);
    const inner = await readDocument(chosen.digest, chosen.mediaType, name, origin, deps);
    // image-spec allows an index in an index; nobody publishes an image that way.
    if (inner.kind !== 'manifest')
      throw new BuildError({ code: 'unsupported', message: `${name} is an index of indexes` });
    manifest = inner.document;
  }
  const config = await readConfig(manifest, name, origin, deps);
  const diffIds = config.rootfs?.diff_ids ?? [];
  if (diffIds.length !== manifest.layers.length) {
    throw new BuildError({
      code: 'hostile',
      message: `${name} contradicts itself: ${manifest.layers.length} layers, ${diffIds.length} diff IDs`,
    });
  }
  return { digest, manifest, config, diffIds, origin: origin.name };
}

async function readDocument(
  digest: Digest,
  mediaType: string,
  name: string,
  origin: Origin,
  { store, signal }: DocumentDeps,
): Promise<Document> {
  const subject = { name: `the manifest of ${name}`, code: 'hostile' } as const;
  const served = mediaType === '' ? undefined : mediaType;
  if (store.hasBlob(digest)) return parseDocument(await store.readBlob(digest), served, subject);
  const bytes = await origin.manifest(digest, { signal });
  const document = parseDocument(bytes, served, subject);
  await store.putBlob(bytes);
  return document;
}

async function readConfig(
  { config }: Manifest,
  name: string,
  origin: Origin,
  { store, signal }: DocumentDeps,
): Promise<ImageConfig> {
  const isKnown = store.hasBlob(config.digest);
  const bytes = isKnown ? await store.readBlob(config.digest) : await origin.document(config, { signal });
  const parsed = parseImageConfig(bytes, { name: `the config of ${name}`, code: 'hostile' });
  if (parsed.rootfs === undefined) {
    throw new BuildError({
      code: 'unsupported',
      message: `${name} is not a container image: its config is of type ${config.mediaType}`,
    });
  }
  if (!isKnown) await store.putBlob(bytes);
  return parsed;
}

function noPlatform(name: string, platform: Platform, manifests: readonly Descriptor[]): BuildError {
  const has = manifests
    .map((manifest) => manifest.platform)
    .filter((found) => found !== undefined && found.os !== 'unknown')
    .map((found) => (found === undefined ? '' : platformToString(found)));
  return new BuildError({
    code: 'image-not-found',
    message: `${name} has no image for ${platformToString(platform)}`,
    hint: has.length === 0 ? undefined : `it has ${[...new Set(has)].join(', ')}`,
  });
}

/** `docker-image://` and its reference, normalized. */
export function imageReference(identifier: string): Reference {
  return parseReference(identifier.replace(/^docker-image:\/\//, ''));
}
