import { randomBytes } from 'node:crypto';
import { constants } from 'node:fs';
import { copyFile, mkdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { ExportContext } from '../contracts/index.ts';
import { parseIndex } from '../image/index.ts';
import type { Descriptor } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import { errnoOf } from '../sys/errno.ts';
import type { ImageSet } from './image.ts';
import { encodeIndex, indexEntries, layoutFiles } from './layout.ts';
import type { LayoutFile, LayoutOptions } from './layout.ts';
import { reported } from './progress-report.ts';
import { destinationError } from './sink.ts';

const REF_NAME = 'org.opencontainers.image.ref.name';

/**
 * A layout as a directory. One that is there already gets the image added: blobs it has stay, names it had for other
 * images move to this one. The index comes last, so that it never names what is not there.
 */
export async function writeLayoutDirectory(
  directory: string,
  set: ImageSet,
  options: LayoutOptions,
  store: Store,
  context: ExportContext,
): Promise<void> {
  await reported(context.events, `writing ${directory}`, async () => {
    try {
      await mkdir(join(directory, 'blobs/sha256'), { recursive: true });
      for (const file of layoutFiles(set, options)) {
        if (file.name !== 'index.json') await writeLayoutFile(join(directory, file.name), file, store);
      }
      const index = join(directory, 'index.json');
      const data = encodeIndex(await mergeIndex(index, indexEntries(set, options)));
      await writeWhole(index, (temporary) => writeFile(temporary, data));
    } catch (error) {
      throw destinationError(error, directory);
    }
  });
}

async function writeLayoutFile(path: string, file: LayoutFile, store: Store): Promise<void> {
  const size = 'data' in file ? file.data.length : file.size;
  const isBlob = file.name.startsWith('blobs/');
  // A blob's name is its content; one of another size was cut short by something.
  if (isBlob && (await stat(path).catch(() => undefined))?.size === size) return;
  await writeWhole(path, (temporary) =>
    'data' in file
      ? writeFile(temporary, file.data)
      : copyFile(store.blobPath(file.digest), temporary, constants.COPYFILE_FICLONE),
  );
}

async function writeWhole(path: string, write: (temporary: string) => Promise<void>): Promise<void> {
  const temporary = `${path}.${randomBytes(6).toString('hex')}`;
  try {
    await write(temporary);
    await rename(temporary, path);
  } catch (error) {
    await rm(temporary, { force: true });
    throw error;
  }
}

/** What the index holds already, without our names and our image, and then the new entries. */
async function mergeIndex(path: string, entries: readonly Descriptor[]): Promise<readonly Descriptor[]> {
  let bytes: Buffer;
  try {
    bytes = await readFile(path);
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return entries;
    throw error;
  }
  const names = new Set(entries.map(({ annotations }) => annotations?.[REF_NAME]));
  const kept = parseIndex(bytes, { name: path, code: 'export' }).manifests.filter(({ digest, annotations }) => {
    const name = annotations?.[REF_NAME];
    return name === undefined ? digest !== entries[0]?.digest : !names.has(name);
  });
  return [...kept, ...entries];
}
