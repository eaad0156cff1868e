/** Pax extended headers (POSIX.1-2017, pax, "pax Extended Header"): lines of `LENGTH KEY=VALUE`. */
import { BuildError } from '../../contracts/index.ts';
import { decodePath } from '../../sys/path.ts';

export const SCHILY_XATTR = 'SCHILY.xattr.';
const LIBARCHIVE_XATTR = 'LIBARCHIVE.xattr.';

/** Later records replace earlier ones, but for `GNU.sparse.offset`/`numbytes`, which are kept in order. */
export interface PaxRecords {
  readonly values: ReadonlyMap<string, Buffer>;
  /** Offset, length, offset, length, ... of sparse format 0.0. */
  readonly sparse: readonly number[];
}

/** @returns undefined when the bytes are not pax records. */
export function parsePax(data: Buffer): PaxRecords | undefined {
  const values = new Map<string, Buffer>();
  const sparse: number[] = [];
  let at = 0;
  while (at < data.length) {
    const space = data.indexOf(0x20, at);
    if (space === -1 || space === at || space - at > 10) return undefined;
    const digits = data.toString('latin1', at, space);
    if (!/^[0-9]+$/.test(digits)) return undefined;
    const end = at + Number(digits);
    if (end > data.length || end < space + 2 || data[end - 1] !== 0x0a) return undefined;
    const equals = data.indexOf(0x3d, space);
    if (equals === -1 || equals >= end) return undefined;
    const key = decodePath(data.subarray(space + 1, equals));
    if (key === '' || key.includes('\0')) return undefined;
    const value = data.subarray(equals + 1, end - 1);
    if (key === 'GNU.sparse.offset' || key === 'GNU.sparse.numbytes') {
      const number = paxInteger(value);
      if (number === undefined || (key === 'GNU.sparse.offset') !== (sparse.length % 2 === 0)) return undefined;
      sparse.push(number);
    } else {
      values.set(key, value);
    }
    at = end;
  }
  return { values, sparse };
}

/** A decimal integer that fits. */
export function paxInteger(value: Buffer): number | undefined {
  const text = value.toString('latin1');
  if (!/^-?[0-9]{1,16}$/.test(text)) return undefined;
  const number = Number(text);
  return Number.isSafeInteger(number) ? number : undefined;
}

/** `-1.5` is 2 s before the epoch and 500,000,000 ns after that. */
export function paxTime(value: Buffer): { readonly seconds: number; readonly nanoseconds: number } | undefined {
  const match = /^(-?)([0-9]{1,15})(?:\.([0-9]*))?$/.exec(value.toString('latin1'));
  if (match === null) return undefined;
  const [, sign, whole, fraction = ''] = match;
  const seconds = Number(whole);
  const nanoseconds = Number(fraction.slice(0, 9).padEnd(9, '0'));
  if (sign === '') return { seconds, nanoseconds };
  return nanoseconds === 0
    ? { seconds: seconds === 0 ? 0 : -seconds, nanoseconds }
    : { seconds: -seconds - 1, nanoseconds: 1_000_000_000 - nanoseconds };
}

/** Extended attributes, sorted by name; `SCHILY` wins where both forms are there (libarchive writes both). */
export function paxXattrs(values: ReadonlyMap<string, Buffer>): ReadonlyMap<string, Uint8Array> | undefined {
  let found: Map<string, Uint8Array> | undefined;
  for (const [key, value] of values) {
    const schily = key.startsWith(SCHILY_XATTR);
    if (!schily && !key.startsWith(LIBARCHIVE_XATTR)) continue;
    found ??= new Map();
    if (schily) {
      found.set(key.slice(SCHILY_XATTR.length), Uint8Array.from(value));
    } else {
      const name = decodePercent(key.slice(LIBARCHIVE_XATTR.length));
      if (!values.has(SCHILY_XATTR + name))
        found.set(name, Uint8Array.from(Buffer.from(value.toString('latin1'), 'base64')));
    }
  }
  if (found === undefined) return undefined;
  return new Map([...found].sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0)));
}

function decodePercent(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** One record; its length counts its own digits. */
export function paxRecord(key: string, value: Uint8Array): Buffer {
  if (key === '' || /[=\0]/.test(key)) {
    throw new BuildError({ code: 'unsupported', message: `no tar can hold the name ${JSON.stringify(key)}` });
  }
  const middle = Buffer.from(` ${key}=`, 'utf8');
  const rest = middle.length + value.length + 1;
  let length = rest + String(rest).length;
  if (String(length).length + rest !== length) length = rest + String(length).length;
  return Buffer.concat([Buffer.from(String(length), 'latin1'), middle, value, Buffer.from('\n')]);
}
