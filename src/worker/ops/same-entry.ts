import type { NodeEntry } from '../../contracts/index.ts';

/** Same but for times of directories and content of files. Directory times are no change, as in BuildKit's diff. */
export function sameEntry(a: NodeEntry, b: NodeEntry): boolean {
  if (a.type !== b.type || a.mode !== b.mode || a.uid !== b.uid || a.gid !== b.gid) return false;
  if (!sameXattrs(a.xattrs, b.xattrs)) return false;
  if (a.type === 'directory') return true;
  if (a.mtime !== b.mtime || a.mtimeNsec !== b.mtimeNsec) return false;
  if (a.type === 'file') return b.type === 'file' && a.size === b.size;
  if (a.type === 'symlink') return b.type === 'symlink' && a.target === b.target;
  if (a.type === 'char-device' || a.type === 'block-device') {
    return b.type === a.type && a.major === b.major && a.minor === b.minor;
  }
  return true;
}

function sameXattrs(a: NodeEntry['xattrs'], b: NodeEntry['xattrs']): boolean {
  const x = a ?? NO_XATTRS;
  const y = b ?? NO_XATTRS;
  if (x.size !== y.size) return false;
  for (const [name, value] of x) {
    const other = y.get(name);
    if (other === undefined || Buffer.compare(value, other) !== 0) return false;
  }
  return true;
}

const NO_XATTRS: ReadonlyMap<string, Uint8Array> = new Map();
