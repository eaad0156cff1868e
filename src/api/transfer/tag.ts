import { BuildError } from '../../contracts/index.ts';
import { familiarString, parseReference, referenceToString, type Reference } from '../../image/reference.ts';
import { findImage } from '../open-image.ts';
import type { HostOptions } from '../options.ts';
import { withStore } from '../with-store.ts';

/**
 * Gives an image of the local store another name; returns it. Nothing is copied.
 *
 * @param source A name, or the beginning of an ID or digest.
 * @throws BuildError `image-not-found`, `usage`
 */
export async function tagImage(source: string, target: string, options: HostOptions = {}): Promise<string> {
  const name = referenceToString(taggable(target));
  return await withStore(options, async (store) => {
    const { digest, mediaType, created } = (await findImage(store, source)).row;
    store.saveImage({ name, digest, mediaType, created, origin: 'build' });
    return familiarString(parseReference(name));
  });
}

/** @throws BuildError `usage` for what cannot be a name of ours */
export function taggable(name: string): Reference {
  const reference = parseReference(name);
  if (reference.digest === undefined) return reference;
  throw new BuildError({
    code: 'usage',
    message: `an image cannot be named ${name}`,
    hint: 'leave the digest out: it follows from the content',
  });
}
