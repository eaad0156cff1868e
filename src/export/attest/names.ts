/** Annotations by which attestations are found (BuildKit: docs/attestations/attestation-storage.md). */
import type { Descriptor } from '../../image/index.ts';

export const REFERENCE_TYPE = 'vnd.docker.reference.type';
export const REFERENCE_DIGEST = 'vnd.docker.reference.digest';
export const PREDICATE_ANNOTATION = 'in-toto.io/predicate-type';

/** Whether what an index refers to is said of an image, and is none. */
export function isAttestation({ annotations }: Pick<Descriptor, 'annotations'>): boolean {
  return annotations?.[REFERENCE_TYPE] === 'attestation-manifest';
}
