import { BuildError } from '../../contracts/index.ts';
import {
  normalizePlatform,
  parseReference,
  platformToString,
  referenceToString,
  repositoryName,
  type Descriptor,
} from '../../image/index.ts';
import { giveNames, prepareNames } from '../../export/index.ts';
import { copyEntry } from '../image-index/copy.ts';
import { openSource } from '../image-index/source.ts';
import type { ImageSource } from '../image-index/types.ts';
import { parsePlatform, platformText } from '../inputs/platform.ts';
import { step } from '../records/steps.ts';
import { withRooms, type Rooms } from './rooms.ts';
import type { PushedImage, PushOptions } from './types.ts';

/**
 * Pushes images of the local store to the registries that their names say: what a registry lacks, manifests after what
 * they refer to, and when all of all images is there, the names.
 *
 * @throws BuildError `image-not-found`, `registry`, `auth`, `usage`
 */
export async function pushImage(
  names: string | readonly string[],
  options: PushOptions = {},
): Promise<readonly PushedImage[]> {
  return await withRooms(options, async (rooms) => {
    const parts: Part[] = [];
    for (const name of typeof names === 'string' ? [names] : names) {
      const source = await openSource(name, rooms, 'store');
      const chosen = chosenRoot(source, options, rooms);
      parts.push({ name, source, ...chosen, bytes: await source.manifest(chosen.root.descriptor) });
    }
    for (const part of parts) await pushContent(part, rooms);
    await publish(parts, rooms);
    return parts.map(({ name, root, bytes, left }) => ({
      name: referenceToString(parseReference(name)),
      digest: root.descriptor.digest,
      size: bytes.length,
      left,
    }));
  });
}

interface Part {
  readonly name: string;
  readonly source: ImageSource;
  readonly root: Root;
  /** Of the root. */
  readonly bytes: Uint8Array;
  readonly left: readonly string[];
}

async function pushContent({ name, source, root }: Part, { registry, events, signal }: Rooms): Promise<void> {
  const repository = repositoryName(parseReference(name));
  for (const descriptor of root.manifests ?? [root.descriptor]) {
    const { platform, digest } = descriptor;
    const what = platform === undefined || platform.os === 'unknown' ? digest : platformToString(platform);
    await step(events, `pushing ${what} to ${repository}`, async (inner) => {
      await copyEntry({ descriptor, source }, repository, registry, signal, inner);
    });
  }
}

/** All names or none, as far as registries let them be taken back. */
async function publish(parts: readonly Part[], { registry, events, signal }: Rooms): Promise<void> {
  await step(events, `naming ${parts.map(({ name }) => name).join(', ')}`, async (inner) => {
    const context = { events: inner, signal };
    const prepared = parts.map(async ({ name, root: { descriptor }, bytes }) => {
      return await prepareNames({ descriptor, bytes }, [parseReference(name)], registry, context);
    });
    await giveNames((await Promise.all(prepared)).flat(), registry, context);
  });
}

interface Root {
  readonly descriptor: Descriptor;
  /** Of an index. */
  readonly manifests?: readonly Descriptor[] | undefined;
}

/** The whole image, or what of it is here: a pulled index has the manifest of one platform. */
function chosenRoot(
  { root, name }: ImageSource,
  { platform }: PushOptions,
  { store }: Rooms,
): { readonly root: Root; readonly left: readonly string[] } {
  const { descriptor, parsed } = root;
  if (parsed.kind === 'manifest') return { root: { descriptor }, left: [] };
  const { manifests } = parsed.document;
  const images = manifests.filter((one) => one.platform !== undefined && one.platform.os !== 'unknown');
  const nameOf = (one: Descriptor): string =>
    one.platform === undefined ? one.digest : platformToString(normalizePlatform(one.platform));
  const here = images.filter(({ digest }) => store.hasBlob(digest));
  if (platform === undefined && manifests.every(({ digest }) => store.hasBlob(digest)))
    return { root: { descriptor, manifests }, left: [] };
  const wanted = platform === undefined ? undefined : platformText(parsePlatform(platform));
  const fitting = wanted === undefined ? here : here.filter((one) => nameOf(one) === wanted);
  const [only] = fitting;
  if (only !== undefined && fitting.length === 1) {
    return { root: { descriptor: only }, left: images.filter((one) => one !== only).map(nameOf) };
  }
  throw new BuildError({
    code: wanted === undefined ? 'store' : 'image-not-found',
    message:
      wanted === undefined
        ? `of the platforms of ${name} the store has only ${here.map(nameOf).join(', ')}`
        : `the local store has no ${name} for ${wanted}`,
    hint:
      wanted === undefined
        ? 'name one with --platform'
        : `it has ${here.map(nameOf).join(', ')}; pull it: slipway pull --platform ${wanted} ${name}`,
  });
}
