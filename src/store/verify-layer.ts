/**
 * Whether a layer's directory survived a loss of power, told from its tree: the same names, types, modes, owners, sizes
 * and times (to the nanosecond, or to the second as tars of layers have them), and the content of those files whose digest the tree knows. Journaling file systems
 * extend a file only when its data is on disk (ext4 `data=ordered`, XFS, btrfs), so a lost write shows in its size.
 */
import type { Tree, TreeEntry } from '../contracts/index.ts';
import { hostPath, readNames } from '../sys/path.ts';
import { lstat, type ExactStat } from '../sys/stat.ts';
import { digestOfFile } from './content.ts';

/** @param directory Host path of the layer's root. */
export function directoryMatchesTree(directory: string, tree: Tree): boolean {
  const seen = new Set<string>();
  const open = [''];
  if (lstat(directory)?.type !== 'directory') return false;
  for (let at = open.pop(); at !== undefined; at = open.pop()) {
    for (const name of readNames(at === '' ? directory : `${directory}/${at}`)) {
      const path = at === '' ? name : `${at}/${name}`;
      const stat = lstat(`${directory}/${path}`);
      if (stat === undefined) return false;
      if (stat.type === 'directory') open.push(path);
      const entry = tree.get(path);
      if (entry === undefined) {
        // Parents that the layer does not own are made as plain directories.
        if (stat.type === 'directory') continue;
        return false;
      }
      if (!matches(entry, stat, directory, path)) return false;
      seen.add(path);
    }
  }
  for (const path of tree.keys()) if (path !== '' && !seen.has(path)) return false;
  return true;
}

function matches(entry: TreeEntry, stat: ExactStat, directory: string, path: string): boolean {
  if (entry.type === 'whiteout') return stat.type === 'char-device' && stat.major === 0 && stat.minor === 0;
  if (entry.type !== stat.type || entry.uid !== stat.uid || entry.gid !== stat.gid) return false;
  if (entry.type !== 'symlink' && entry.mode !== stat.mode) return false;
  if (entry.type === 'directory') return true;
  // A directory that was made of the layer's blob has the times of its tar.
  if (entry.mtime !== stat.mtime || (entry.mtimeNsec !== stat.mtimeNsec && stat.mtimeNsec !== 0)) return false;
  if (entry.type !== 'file') return true;
  if (entry.size !== stat.size) return false;
  if (entry.digest === undefined) return true;
  const host = hostPath(directory, path);
  return digestOfFile(host)?.digest === entry.digest;
}
