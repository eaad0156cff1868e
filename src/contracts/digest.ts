/** A content digest in OCI form (image-spec descriptor.md): `sha256:` and 64 lower-case hex digits. */
export type Digest = `sha256:${string}`;

/** Narrows a string to {@link Digest}; only sha256 is accepted, as it is the only algorithm Slipway writes. */
export function isDigest(value: string): value is Digest {
  return /^sha256:[0-9a-f]{64}$/.test(value);
}

/** Of no bytes. */
export const EMPTY_DIGEST: Digest = 'sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855';
