import { BuildError, type Digest } from '../../contracts/index.ts';
import { familiarString, parseReference } from '../../image/reference.ts';
import { findImage, NAMELESS } from '../open-image.ts';
import type { HostOptions } from '../options.ts';
import { withStore } from '../with-store.ts';

export interface RemovedImage {
  /** Names that lead nowhere now. */
  readonly untagged: readonly string[];
  /** The image, when no name leads to it any more. Layers and cache stay for `prune`. */
  readonly deleted: Digest | undefined;
}

/**
 * Forgets a name; by ID all names of the image, of which there may be several only with `force`.
 *
 * @throws BuildError `image-not-found`; `usage` for an ID with several names
 */
export async function removeImage(
  name: string,
  options: HostOptions & { readonly force?: boolean | undefined } = {},
): Promise<RemovedImage> {
  return await withStore(options, async (store) => {
    const { row } = await findImage(store, name);
    const isByName = named(name, row.name);
    const same = store.images().filter(({ digest, origin }) => digest === row.digest && origin === row.origin);
    const doomed = isByName ? [row] : same;
    if (doomed.length > 1 && options.force !== true) {
      throw new BuildError({
        code: 'usage',
        message: `${name} has several names: ${doomed.map((one) => familiarString(parseReference(one.name))).join(', ')}`,
        hint: 'remove them by name, or all with --force',
      });
    }
    for (const one of doomed) store.removeImage(one.name);
    const names = doomed.map((one) => familiarString(parseReference(one.name)));
    const isGone = same.length === doomed.length;
    return {
      untagged: names.filter((one) => !one.startsWith(`${NAMELESS}@`)),
      deleted: isGone ? row.digest : undefined,
    };
  });
}

/** Whether a word is that name, rather than an ID that leads to it. */
function named(word: string, full: string): boolean {
  try {
    const reference = parseReference(word);
    return familiarString(reference) === familiarString(parseReference(full));
  } catch {
    return false;
  }
}
