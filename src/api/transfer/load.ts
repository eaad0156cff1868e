import { createReadStream } from 'node:fs';
import { rm, stat } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BuildError, type Digest } from '../../contracts/index.ts';
import { loadArchiveReader } from '../../source/index.ts';
import { NAMELESS, readManifests } from '../open-image.ts';
import { hostPlatform, platformText } from '../inputs/platform.ts';
import { systemError } from '../system-error.ts';
import { step } from '../records/steps.ts';
import { withRooms, type Rooms } from './rooms.ts';
import type { LoadedImage, LoadOptions } from './types.ts';

/**
 * Takes the images of an archive (`docker save`, an OCI layout, compressed or not) or of a layout's directory into the
 * local store under the names that it gives them. Names come last: an archive that is damaged leaves none.
 *
 * @throws BuildError `context`, `hostile`, `digest-mismatch`, `disk-full`, `usage`
 */
export async function loadImages(options: LoadOptions = {}): Promise<readonly LoadedImage[]> {
  const { input, stdin = process.stdin } = options;
  if (input === undefined && 'isTTY' in stdin && stdin.isTTY) {
    throw new BuildError({
      code: 'usage',
      message: 'load would read an archive from the terminal',
      hint: 'add -i FILE, or redirect the input',
    });
  }
  const path = input === undefined ? undefined : resolve(options.cwd ?? process.cwd(), input);
  const what = input ?? 'the archive on standard input';
  const isDirectory = path === undefined ? false : (await found(path, what)).isDirectory();
  return await withRooms(options, async (rooms) => {
    const { importImages } = await loadArchiveReader();
    const { store, sources, signal } = rooms;
    const directory = await step(rooms.events, `reading ${what}`, async () => {
      if (path !== undefined && isDirectory) return path;
      return await sources.contextFromTar(
        path === undefined ? stdin : createReadStream(path, { highWaterMark: 1 << 18 }),
      );
    });
    try {
      const images = await step(rooms.events, `loading ${what}`, async () => {
        return await importImages(directory, what, { store, signal, storeLayer: (id) => sources.storeLayer(id) });
      });
      const loaded: LoadedImage[] = [];
      for (const { names, digest, mediaType } of images) {
        // Without a name it would be garbage at once: its digest is one that it always has.
        const given = names.length === 0 ? [`${NAMELESS}@${digest}`] : names;
        for (const name of given) store.saveImage({ name, digest, mediaType, created: Date.now(), origin: 'build' });
        const id = await imageId(rooms, given[0] ?? '', digest);
        for (const name of names.length === 0 ? [undefined] : names) loaded.push({ name, id, digest });
      }
      store.sync();
      return loaded;
    } finally {
      if (directory !== path) await rm(directory, { recursive: true, force: true });
    }
  });
}

async function imageId({ store }: Rooms, name: string, digest: Digest): Promise<Digest> {
  const row = store.image(name);
  const manifests = row === undefined ? [] : await readManifests(store, row);
  const own = manifests.find(({ platform }) => platform === platformText(hostPlatform())) ?? manifests[0];
  return own?.manifest.config.digest ?? digest;
}

async function found(path: string, what: string) {
  try {
    return await stat(path);
  } catch (error) {
    throw systemError(error) ?? new BuildError({ code: 'context', message: `${what} does not exist`, cause: error });
  }
}
