import { BuildError, type BuildEventSink, type Digest } from '../../contracts/index.ts';
import { checkAnnotations, giveNames, parseAnnotation, prepareNames, type Annotation } from '../../export/index.ts';
import { digestOf, parseIndex, parseReference, referenceToString, repositoryName } from '../../image/index.ts';
import { createRegistry, parseMirrors, type Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { step } from '../records/steps.ts';
import { withStore } from '../with-store.ts';
import { copyEntry } from './copy.ts';
import { joinEntries, joinIndex, platformText, type JoinedEntry } from './join.ts';
import { openSource } from './source.ts';
import type { CreateIndexOptions, ImageIndex, IndexEntry, IndexOptions } from './types.ts';

/** On the manifest of an attestation: what it is about (BuildKit: attestation-storage.md). */
const REFERENCE_DIGEST = 'vnd.docker.reference.digest';

/**
 * Joins images, of which each was built on its own machine, to one index, and pushes it with all that it refers to; its
 * names come last.
 *
 * @throws BuildError `usage` for two images of one platform; `image-not-found`, `registry`, `auth`
 */
export async function createIndex(options: CreateIndexOptions): Promise<ImageIndex> {
  const names = options.names.map(destinationName);
  const annotations = (options.annotations ?? []).flatMap(indexAnnotation);
  const events = options.onEvent ?? (() => undefined);
  return await withRooms(options, async (store, registry) => {
    const sources = await step(events, `reading ${options.images.join(', ')}`, async () => {
      return await Promise.all(options.images.map(async (image) => await openSource(image, { store, registry })));
    });
    const entries = await joinEntries(sources);
    const platforms = entries.flatMap(({ descriptor }) => platformText(descriptor) ?? []);
    checkAnnotations(annotations, { isIndex: true, platforms });
    const { mediaType, bytes } = joinIndex(entries, annotations);
    const index = describe(bytes, mediaType, names);
    if (options.dryRun === true) return index;
    if (options.local === true) await keep(index, entries, store);
    else await push(index, entries, registry, events, options.signal);
    return index;
  });
}

/** What is behind a name: an index that was made here, else what the registry has. A single image is shown as one entry. */
export async function inspectIndex(name: string, options: IndexOptions = {}): Promise<ImageIndex> {
  return await withRooms(options, async (store, registry) => {
    const source = await openSource(name, { store, registry });
    const { bytes, descriptor, parsed } = source.root;
    const full = referenceToString(parseReference(name));
    if (parsed.kind === 'index') return describe(bytes, descriptor.mediaType, [full]);
    const entries = (await joinEntries([source])).map(entryOf);
    const { annotations = {} } = parsed.document;
    return { names: [full], digest: descriptor.digest, mediaType: descriptor.mediaType, annotations, entries, bytes };
  });
}

async function withRooms<T>(options: IndexOptions, work: (store: Store, registry: Registry) => Promise<T>): Promise<T> {
  const env = options.env ?? process.env;
  const mirrors = parseMirrors([...(options.mirrors ?? []), env['SLIPWAY_MIRRORS'] ?? ''].join(';'));
  return await withStore(options, async (store) => {
    const registry = createRegistry({ mirrors, env, signal: options.signal });
    try {
      return await work(store, registry);
    } finally {
      await registry.close();
    }
  });
}

function destinationName(name: string): string {
  const reference = parseReference(name);
  if (reference.digest !== undefined) {
    throw new BuildError({
      code: 'usage',
      message: `an index cannot be named ${name}`,
      hint: 'leave the digest out: it follows from the content',
    });
  }
  return referenceToString(reference);
}

/** Without a target it is the index's. What manifests say is part of them, and they stay as they are. */
function indexAnnotation(word: string): readonly Annotation[] {
  const name = word.slice(0, Math.max(word.indexOf('='), 0));
  return parseAnnotation(name.includes(':') ? word : `index:${word}`).map((annotation) => {
    if (annotation.target === 'index' || annotation.target === 'manifest-descriptor') return annotation;
    throw new BuildError({
      code: 'usage',
      message: `the annotation ${JSON.stringify(word)} is for a ${annotation.target}, which stays as it was built`,
      hint: 'use index:KEY=VALUE or manifest-descriptor[OS/ARCH]:KEY=VALUE',
    });
  });
}

async function push(
  index: ImageIndex,
  entries: readonly JoinedEntry[],
  registry: Registry,
  events: BuildEventSink,
  signal: AbortSignal | undefined,
): Promise<void> {
  const references = index.names.map(parseReference);
  const { mediaType, bytes, digest } = index;
  for (const repository of new Set(references.map(repositoryName))) {
    for (const entry of entries) {
      const what = platformText(entry.descriptor) ?? entry.descriptor.digest;
      await step(events, `copying ${entry.source.name} (${what}) to ${repository}`, async () => {
        await copyEntry(entry, repository, registry, signal);
      });
    }
    if (references.length > 1) await registry.pushManifest(repository, digest, { mediaType, bytes }, { signal });
  }
  await step(events, `naming ${index.names.join(', ')}`, async (inner) => {
    const context = { events: inner, signal: signal ?? new AbortController().signal };
    const root = { descriptor: { mediaType, digest, size: bytes.length }, bytes };
    await giveNames(await prepareNames(root, references, registry, context), registry, context);
  });
}

async function keep(index: ImageIndex, entries: readonly JoinedEntry[], store: Store): Promise<void> {
  const elsewhere = entries.find(({ source }) => source.place !== 'store');
  if (elsewhere !== undefined) {
    throw new BuildError({
      code: 'usage',
      message: `${elsewhere.source.name} was not built here`,
      hint: 'without --local the index is pushed, whatever its images are from',
    });
  }
  const { digest, mediaType, names } = index;
  await store.putBlob(index.bytes);
  for (const name of names) store.saveImage({ name, digest, mediaType, created: Date.now(), origin: 'build' });
  store.sync();
}

function describe(bytes: Uint8Array, mediaType: string, names: readonly string[]): ImageIndex {
  const { manifests, annotations = {} } = parseIndex(bytes);
  const entries = manifests.map((descriptor) => entryOf({ descriptor }));
  return { names, digest: digestOf(bytes), mediaType, annotations, entries, bytes };
}

function entryOf({ descriptor }: Pick<JoinedEntry, 'descriptor'>): IndexEntry {
  const { digest, mediaType, size, annotations = {} } = descriptor;
  const about = annotations[REFERENCE_DIGEST];
  return {
    digest,
    mediaType,
    size,
    platform: platformText(descriptor),
    attests: about === undefined ? undefined : (about as Digest),
    annotations,
  };
}
