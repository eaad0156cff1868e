/** The kinds of names that mean something else tomorrow. */
export type PinKind = 'image' | 'url' | 'git';

/**
 * What names meant when they were locked. An image's pin is the digest of what its name points to (an index or a
 * manifest, so that it holds for every platform), a URL's the sha256 of its content, a git ref's its commit. Names that
 * carry a digest, checksum or commit already are not asked for.
 */
export interface Pins {
  /** Undefined = as it is now. Throws BuildError where only what is locked may be read. */
  find(kind: PinKind, name: string): string | undefined;
  /** Told what each name turned out to mean. */
  saw(kind: PinKind, name: string, value: string): void;
}
