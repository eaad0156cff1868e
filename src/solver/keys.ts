import { createHash } from 'node:crypto';

/** What a key is made of: strings and lists of them. Numbers and booleans are written as strings. */
export type KeyPart = string | readonly KeyPart[];

/**
 * `definition`: from ops alone. `lookup`: from an op and its inputs' results, finds a record. `record`: names a record;
 * equal lookup keys give equal record keys, unless a result was replaced on purpose.
 */
export type KeyKind = 'definition' | 'lookup' | 'record';

/** Raised whenever a change of ours makes old results unusable. Part of every key. */
export const KEY_VERSION = 1;

/** With the `u` flag, halves of a pair do not match. */
const loneSurrogate = /\p{Surrogate}/u;

const prefixes: Readonly<Record<KeyKind, string>> = { definition: 'd', lookup: 'k', record: 'r' };

/**
 * `<d|k|r><version>-<64 hex digits>`: sha256 over the kind, the version and `parts`, each length-prefixed, so that no two
 * different inputs have the same encoding (the class of CVE-2024-24557).
 */
export function makeKey(kind: KeyKind, parts: KeyPart): string {
  const hash = createHash('sha256');
  const chunks: string[] = [];
  encode(['slipway', kind, String(KEY_VERSION), parts], chunks);
  hash.update(chunks.join(''), 'utf8');
  return `${prefixes[kind]}${KEY_VERSION}-${hash.digest('hex')}`;
}

/**
 * `l<count>:` and its items for a list; `s<bytes>:` and the UTF-8 text for a string. A string that is not well-formed
 * (file names that are not UTF-8 hold lone surrogates) has no UTF-8 form and is written as `u<digits>:` and its UTF-16
 * units in hex.
 */
function encode(part: KeyPart, chunks: string[]): void {
  if (typeof part !== 'string') {
    chunks.push(`l${part.length}:`);
    for (const item of part) encode(item, chunks);
  } else if (!loneSurrogate.test(part)) {
    chunks.push(`s${Buffer.byteLength(part, 'utf8')}:`, part);
  } else {
    const hex = Buffer.from(part, 'utf16le').toString('hex');
    chunks.push(`u${hex.length}:`, hex);
  }
}
