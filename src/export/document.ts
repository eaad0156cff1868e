import { digestOf } from '../image/index.ts';
import type { Descriptor, Index, Manifest } from '../image/index.ts';

/** A manifest, config, index or attestation. */
export interface ImageDocument {
  readonly descriptor: Descriptor;
  readonly bytes: Uint8Array;
}

export function imageDocument(mediaType: string, bytes: Uint8Array): ImageDocument {
  return { descriptor: { mediaType, digest: digestOf(bytes), size: bytes.length }, bytes };
}

/** As BuildKit writes manifests and indexes. */
export function encodeDocument(document: Manifest | Index): Uint8Array {
  return Buffer.from(JSON.stringify(document, undefined, 2));
}
