import { createHash } from 'node:crypto';
import type { TreeEntry } from '../contracts/index.ts';

/** Where an entry leads: the text of a symbolic link, the first name of a hard-linked file, `major:minor` of a device. */
export function entryTarget(entry: TreeEntry): string | undefined {
  switch (entry.type) {
    case 'symlink':
      return entry.target;
    case 'file':
      return entry.hardlink;
    case 'char-device':
    case 'block-device':
      return `${entry.major}:${entry.minor}`;
    case 'directory':
    case 'fifo':
    case 'socket':
    case 'whiteout':
      return undefined;
  }
}

/** Names and values of extended attributes in 16 hexadecimal digits, to show that they differ; undefined = there are none. */
export function xattrsDigest(xattrs: ReadonlyMap<string, Uint8Array> | undefined): string | undefined {
  if (xattrs === undefined || xattrs.size === 0) return undefined;
  const hash = createHash('sha256');
  for (const [name, value] of xattrs) hash.update(`${name}\0${value.length}\0`).update(value);
  return hash.digest('hex').slice(0, 16);
}
