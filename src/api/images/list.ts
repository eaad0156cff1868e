import { BuildError, type Digest } from '../../contracts/index.ts';
import { parseImageConfig, type ImageConfig } from '../../image/index.ts';
import { familiarName, familiarString, parseReference } from '../../image/reference.ts';
import { matchPattern } from '../../pattern/index.ts';
import type { ImageRow, Store } from '../../store/index.ts';
import { findImage, NAMELESS, readManifests } from '../open-image.ts';
import type { HostOptions } from '../options.ts';
import { hostPlatform, platformText } from '../inputs/platform.ts';
import { withStore } from '../with-store.ts';

export interface ImageListItem {
  /** Familiar form, as `alpine` or `localhost:5000/app`; `<none>` for an image without a name. */
  readonly repository: string;
  readonly tag: string;
  /** Digest of the configuration, of an index that for this machine: docker's image ID. */
  readonly id: Digest;
  /** Of the manifest or index. */
  readonly digest: Digest;
  /** When the image was made, as it says itself. Milliseconds since the epoch. */
  readonly created: number;
  /** Compressed bytes of the layers of all platforms. */
  readonly size: number;
  readonly origin: 'build' | 'pull';
  /** As `linux/arm64`; several for an index. */
  readonly platforms: readonly string[];
}

export interface ListOptions extends HostOptions {
  /** Base images that a build pulled, too. */
  readonly pulled?: boolean | undefined;
  /** `NAME[:TAG]`, in which `*` may stand for anything but `/`. */
  readonly name?: string | undefined;
  /** `reference=PATTERN`, `label=KEY[=VALUE]`, `before=IMAGE`, `since=IMAGE`, `until=TIME`, `dangling=true|false`. */
  readonly filters?: readonly string[] | undefined;
}

interface Listed {
  readonly item: ImageListItem;
  readonly config: ImageConfig | undefined;
}

/**
 * The images in the local store, newest first; pulled bases only when asked for.
 *
 * @throws BuildError `usage` for a filter that is none, `image-not-found` for one that names an image
 */
export async function listImages(options: ListOptions = {}): Promise<readonly ImageListItem[]> {
  return await withStore(options, async (store) => {
    const accepts = await filterOf(options, store);
    const items: ImageListItem[] = [];
    for (const row of store.images()) {
      if (row.origin !== 'build' && options.pulled !== true) continue;
      const listed = await read(row, store);
      if (listed !== undefined && accepts(listed)) items.push(listed.item);
    }
    return items.sort((a, b) => b.created - a.created);
  });
}

async function read(row: ImageRow, store: Store): Promise<Listed | undefined> {
  const manifests = await readManifests(store, row);
  const own = manifests.find(({ platform }) => platform === platformText(hostPlatform())) ?? manifests[0];
  if (own === undefined) return undefined;
  const { digest: id } = own.manifest.config;
  const subject = { name: `the config of ${row.name}`, code: 'store' } as const;
  const config = store.hasBlob(id) ? parseImageConfig(await store.readBlob(id), subject) : undefined;
  const layers = new Map(
    manifests.flatMap(({ manifest }) => manifest.layers.map(({ digest, size }) => [digest, size] as const)),
  );
  const reference = parseReference(row.name);
  const name = familiarName(reference);
  const item: ImageListItem = {
    repository: name === NAMELESS ? '<none>' : name,
    tag: reference.tag ?? '<none>',
    id,
    digest: row.digest,
    created: Date.parse(config?.created ?? '') || row.created,
    size: [...layers.values()].reduce((sum, size) => sum + size, 0),
    origin: row.origin,
    platforms: manifests.map(({ platform }) => platform),
  };
  return { item, config };
}

type Filter = (listed: Listed) => boolean;

/** Filters of one kind add up, kinds narrow each other, as docker has it (moby: daemon/images, filters.Args). */
async function filterOf({ name, filters = [] }: ListOptions, store: Store): Promise<Filter> {
  const kinds = new Map<string, Filter[]>();
  const add = (kind: string, filter: Filter): void => void kinds.set(kind, [...(kinds.get(kind) ?? []), filter]);
  if (name !== undefined) add('name', (listed) => isNamed(listed, name));
  for (const word of filters) {
    const at = word.indexOf('=');
    const [kind, value] = [word.slice(0, Math.max(at, 0)), word.slice(at + 1)];
    // Every label must be there, while one of several names is enough.
    add(kind === 'label' ? word : kind, await filter(kind, value, word, store));
  }
  return (listed) => [...kinds.values()].every((any) => any.some((accepts) => accepts(listed)));
}

async function filter(kind: string, value: string, word: string, store: Store): Promise<Filter> {
  switch (kind) {
    case 'reference':
      return (listed) => isNamed(listed, value);
    case 'label': {
      const [key, wanted] = splitOnce(value);
      return ({ config }) => {
        const found = config?.config?.Labels?.[key];
        return found !== undefined && (wanted === undefined || found === wanted);
      };
    }
    case 'before':
    case 'since': {
      const other = await read((await findImage(store, value)).row, store);
      const than = other?.item.created ?? 0;
      return ({ item }) => (kind === 'before' ? item.created < than : item.created > than);
    }
    case 'until': {
      const time = Date.parse(value);
      if (Number.isNaN(time)) throw noFilter(word, 'write the time as 2026-01-31T12:00:00Z');
      return ({ item }) => item.created < time;
    }
    case 'dangling':
      if (value !== 'true' && value !== 'false') throw noFilter(word, 'dangling is true or false');
      return ({ item }) => (item.repository === '<none>') === (value === 'true');
    default:
      throw noFilter(word, 'there are reference=, label=, before=, since=, until= and dangling=');
  }
}

function isNamed({ item }: Listed, pattern: string): boolean {
  const { repository, tag } = item;
  const hasTag = pattern.lastIndexOf(':') > pattern.lastIndexOf('/');
  // docker.io/library/x is x, as everywhere.
  const short = pattern.replace(/^(?:index\.)?docker\.io\/(?:library\/)?/, '');
  const text = hasTag ? `${repository}:${tag}` : repository;
  return pattern.includes('@') ? pattern.endsWith(item.digest) : matchPattern(short, text);
}

function splitOnce(text: string): readonly [string, string?] {
  const at = text.indexOf('=');
  return at === -1 ? [text] : [text.slice(0, at), text.slice(at + 1)];
}

function noFilter(word: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message: `${JSON.stringify(word)} is no filter of images`, hint });
}

/** Names of an image as users write them. */
export function namesOf(digest: Digest, store: Store): readonly string[] {
  return store
    .images()
    .filter((row) => row.digest === digest && row.origin === 'build')
    .map((row) => parseReference(row.name))
    .filter((reference) => familiarName(reference) !== NAMELESS)
    .map(familiarString);
}
