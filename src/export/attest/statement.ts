/**
 * In-toto statements (in-toto/attestation, spec/v0.1.0): what is said of an image, bound to its digest. BuildKit writes
 * this version, and tools that read its attestations look for it.
 */
import type { AttestedPredicate, Digest } from '../../contracts/index.ts';

export const PREDICATE_TYPES = {
  provenance: 'https://slsa.dev/provenance/v1',
  sbom: 'https://spdx.dev/Document',
} as const;

export type Predicate = AttestedPredicate;

export interface Statement {
  readonly _type: 'https://in-toto.io/Statement/v0.1';
  readonly predicateType: string;
  readonly subject: readonly { readonly name: string; readonly digest: Readonly<Record<string, string>> }[];
  readonly predicate: Readonly<Record<string, unknown>>;
}

/**
 * @param names Package URLs of the image; none = `_`, as BuildKit calls what has no name.
 * @param manifest Of the image's manifest for its platform.
 */
export function statementOf(predicate: Predicate, names: readonly string[], manifest: Digest): Statement {
  const digest = { sha256: manifest.slice('sha256:'.length) };
  return {
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: predicate.type,
    subject: (names.length === 0 ? ['_'] : names).map((name) => ({ name, digest })),
    predicate: predicate.content,
  };
}
