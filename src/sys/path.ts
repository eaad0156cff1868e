/**
 * Tree paths and the bytes that the operating system knows them by. Linux names are bytes; a tree path is a string in
 * which each byte that is not part of valid UTF-8 is one lone surrogate U+DC80..U+DCFF (as Python's `surrogateescape`,
 * PEP 383). Valid names are the same string on both sides, so that they cost one native check.
 */
import { isUtf8 } from 'node:buffer';
import { readdirSync } from 'node:fs';

const ESCAPE = 0xdc00;

/** What `node:fs` takes for a path: the string itself where it is valid UTF-8, else its bytes. */
export type HostPath = string | Buffer;

/** ES2024; every Node we run on has it. */
function isWellFormed(text: string): boolean {
  return (text as string & { isWellFormed(): boolean }).isWellFormed();
}

/** @returns `path` itself when it needs no conversion, else its bytes. Other lone surrogates become U+FFFD. */
export function encodePath(path: string): HostPath {
  return isWellFormed(path) ? path : encodePathBytes(path);
}

/** Always the bytes of a tree path. */
export function encodePathBytes(path: string): Buffer {
  if (isWellFormed(path)) return Buffer.from(path, 'utf8');
  const parts: Buffer[] = [];
  let from = 0;
  for (let i = 0; i < path.length; i++) {
    const unit = path.charCodeAt(i);
    if (unit >= 0xd800 && unit <= 0xdbff) {
      const next = path.charCodeAt(i + 1);
      if (next >= 0xdc00 && next <= 0xdfff) i++;
      continue;
    }
    if (unit < 0xdc80 || unit > 0xdcff) continue;
    if (i > from) parts.push(Buffer.from(path.slice(from, i), 'utf8'));
    parts.push(Buffer.of(unit - ESCAPE));
    from = i + 1;
  }
  if (from < path.length) parts.push(Buffer.from(path.slice(from), 'utf8'));
  return Buffer.concat(parts);
}

/** The tree form of the bytes of a name or path. */
export function decodePath(bytes: Uint8Array): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (isUtf8(buffer)) return buffer.toString('utf8');
  let text = '';
  let from = 0;
  let i = 0;
  while (i < buffer.length) {
    const length = sequenceLength(buffer, i);
    if (length > 0) {
      i += length;
      continue;
    }
    if (i > from) text += buffer.toString('utf8', from, i);
    text += String.fromCharCode(ESCAPE + (buffer[i] ?? 0));
    from = ++i;
  }
  return from < buffer.length ? text + buffer.toString('utf8', from) : text;
}

/** Bytes of the valid UTF-8 sequence (Unicode 15, table 3-7) at `at`; 0 when there is none. */
function sequenceLength(buffer: Buffer, at: number): number {
  const first = buffer[at] ?? 0;
  if (first < 0x80) return 1;
  const length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length === 0 || at + length > buffer.length) return 0;
  return isUtf8(buffer.subarray(at, at + length)) ? length : 0;
}

/**
 * Host path of `path` (a tree path) below the host directory `root` (itself in tree form).
 * Lexical only: see `confined.ts` for directories whose content is not ours.
 */
export function hostPath(root: string, path: string): HostPath {
  return encodePath(path === '' ? root : `${root}/${path}`);
}

/**
 * Names in a host directory (`directory` in tree form), in tree form, in the kernel's order.
 * Names that are not UTF-8 arrive from Node with U+FFFD; only then is the directory read again as bytes.
 */
export function readNames(directory: string): string[] {
  const host = encodePath(directory);
  const names = readdirSync(host, 'utf8');
  for (const name of names) {
    if (name.includes('\ufffd')) return readdirSync(host, 'buffer').map(decodePath);
  }
  return names;
}
