/** What a tar entry can be; other types of the format are either understood away (pax, GNU long names) or refused. */
export type TarEntryType = 'file' | 'hardlink' | 'symlink' | 'directory' | 'char-device' | 'block-device' | 'fifo';

/** An entry's metadata. Names and link texts are in tree form (`sys/path.ts`): bytes that are not UTF-8 survive. */
export interface TarHeader {
  readonly type: TarEntryType;
  /** As in the archive when read: it may be absolute, hold `..`, or end in a slash. */
  readonly name: string;
  /** Of symbolic and hard links; else empty. */
  readonly target: string;
  /** Permission bits with setuid, setgid and sticky. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Bytes of the content, holes of sparse files included; 0 for all but files. */
  readonly size: number;
  /** Seconds since the epoch, and nanoseconds. */
  readonly mtime: number;
  readonly mtimeNsec: number;
  /** Of devices; else 0. */
  readonly major: number;
  readonly minor: number;
  /** From `SCHILY.xattr.*` or `LIBARCHIVE.xattr.*`; absent = none. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

export const BLOCK = 512;

/** Bytes that fill the last block of a body of `size` bytes. */
export function paddingOf(size: number): number {
  const rest = size % BLOCK;
  return rest === 0 ? 0 : BLOCK - rest;
}
