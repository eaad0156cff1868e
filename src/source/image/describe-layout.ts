import { join } from 'node:path';
import type { Digest } from '../../contracts/index.ts';
import { digestOf } from '../../image/index.ts';
import type { Platform, ResolvedImage } from '../types.ts';
import { parseLayoutReference } from './layout.ts';
import { findLayoutImage } from './resolve.ts';

/** An image in an OCI layout, for those who hand its blobs on and keep nothing. */
export interface DescribedLayout extends ResolvedImage {
  /** The layout's directory, absolute. */
  readonly path: string;
}

/**
 * @param text `path[:tag][@digest]`, with or without `oci-layout://`
 * @throws BuildError `image-not-found`, `context`, `digest-mismatch`
 */
export async function describeLayout(text: string, platform: Platform, signal: AbortSignal): Promise<DescribedLayout> {
  const store = {
    hasBlob: () => false,
    readBlob: async () => new Uint8Array(),
    putBlob: async (bytes: Uint8Array) => ({ digest: digestOf(bytes), size: bytes.length }),
  };
  const { path } = await parseLayoutReference(text);
  const { digest, config } = await findLayoutImage(text, platform, { store, signal });
  return { ref: `${text.replace(/@sha256:[0-9a-f]{64}$/, '')}@${digest}`, digest, config, path };
}

/** The file of a blob in a layout (image-spec image-layout.md); whether it is there is another question. */
export function layoutBlobFile(path: string, digest: Digest): string {
  return join(path, 'blobs', 'sha256', digest.slice('sha256:'.length));
}
