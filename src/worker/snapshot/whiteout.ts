/** How overlayfs marks in a layer's directory what is gone from the layers below (overlayfs.rst, whiteouts and opaque directories). */
import { readXattr, writeXattr } from '../../sys/xattr.ts';
import type { ExactStat } from '../../sys/stat.ts';

/** Extended attribute of opaque directories. */
export const OPAQUE = 'trusted.overlay.opaque';
const YES = 0x79;

/** A whiteout is a character device 0/0. */
export function isWhiteout(stat: ExactStat): boolean {
  return stat.type === 'char-device' && stat.major === 0 && stat.minor === 0;
}

export function isOpaque(directory: string): boolean {
  const value = readXattr(directory, OPAQUE);
  return value?.length === 1 && value[0] === YES;
}

export function markOpaque(directory: string): void {
  writeXattr(directory, OPAQUE, Uint8Array.of(YES));
}
