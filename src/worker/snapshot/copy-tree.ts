import { mkdirSync, readlinkSync, symlinkSync } from 'node:fs';
import { copyFile } from '../../sys/copy.ts';
import { encodePath, readNames } from '../../sys/path.ts';
import { chmod, lchown, lstat, mknod, utimens, type ExactStat } from '../../sys/stat.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { imageXattrs } from './xattrs.ts';

/**
 * Copies a directory with all that an image knows of files, hard links aside. For a source that nothing changes, and a
 * target directory that is ours alone and not there yet.
 */
export function copyTree(source: string, target: string): void {
  const stat = lstat(source);
  if (stat === undefined) return;
  copyNode(source, target, stat);
}

function copyNode(source: string, target: string, stat: ExactStat): void {
  switch (stat.type) {
    case 'directory':
      mkdirSync(encodePath(target), 0o700);
      for (const name of readNames(source)) copyTree(`${source}/${name}`, `${target}/${name}`);
      break;
    case 'file':
      copyFile(source, target);
      break;
    case 'symlink':
      symlinkSync(readlinkSync(encodePath(source), 'buffer'), encodePath(target));
      break;
    case 'socket':
      return;
    case 'char-device':
    case 'block-device':
    case 'fifo':
      mknod(target, { type: stat.type, mode: 0o600, major: stat.major, minor: stat.minor });
      break;
  }
  lchown(target, stat.uid, stat.gid);
  if (stat.type !== 'symlink') chmod(target, stat.mode);
  for (const [name, value] of imageXattrs(source) ?? []) writeXattr(target, name, value);
  utimens(target, stat.mtime, stat.mtimeNsec);
}
