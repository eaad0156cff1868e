import { readXattrs, type XattrTarget } from '../../sys/xattr.ts';

/**
 * Attributes that belong in an image: capabilities and what users set. Not overlayfs's own marks, SELinux labels (the
 * machine's, not the file's), signatures of this machine, ACLs (BuildKit drops them too).
 */
export function isImageXattr(name: string): boolean {
  return name === 'security.capability' || (name.startsWith('user.') && !name.startsWith('user.overlay.'));
}

/** @returns Undefined for none, as tree entries want it. */
export function imageXattrs(target: XattrTarget): ReadonlyMap<string, Uint8Array> | undefined {
  const found = readXattrs(target, isImageXattr);
  return found.size === 0 ? undefined : found;
}

export function sameXattrs(
  a: ReadonlyMap<string, Uint8Array> | undefined,
  b: ReadonlyMap<string, Uint8Array> | undefined,
): boolean {
  if ((a?.size ?? 0) !== (b?.size ?? 0)) return false;
  for (const [name, value] of a ?? []) {
    const other = b?.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}
