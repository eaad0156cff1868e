/** Addresses of buffers, for structures of the kernel and libc that hold pointers. */
import { libcFunction } from './libc.ts';

const memchr = libcFunction('memchr', ['void *', 'int', 'size_t'], 'long');

/** Where a buffer lies in memory: the place of its first byte in itself. Keep the buffer while the address is in use. */
export function addressOf(bytes: Uint8Array): bigint {
  return BigInt(memchr(bytes, bytes[0] ?? 0, bytes.length));
}

/** A NULL-terminated array of C strings. `keep` must live as long as the array is in use. */
export function stringArray(texts: readonly string[]): { readonly array: Uint8Array; readonly keep: unknown } {
  const strings = texts.map((text) => Buffer.from(`${text}\0`, 'utf8'));
  const pointers = new BigUint64Array([...strings.map(addressOf), 0n]);
  return { array: new Uint8Array(pointers.buffer), keep: [strings, pointers] };
}
