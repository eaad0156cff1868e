import { closeSync, mkdirSync, writeFileSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import { openConfined, type ConfinedRoot } from '../../sys/confined.ts';
import { errnoOf } from '../../sys/errno.ts';
import { O_PATH } from '../../sys/libc.ts';
import { MNT_DETACH, MS_BIND, MS_REC, mount, umount } from '../../sys/mount.ts';
import { lstatAt } from '../../sys/stat.ts';

/**
 * Shows `source`, a path inside the directory `root`, at the host path `target`. The kernel resolves it once, inside the
 * root, and it is mounted by descriptor: whatever another step does to the names meanwhile, no other file is shown
 * (CVE-2024-23651, CVE-2024-1753).
 *
 * @returns Undoes it.
 * Errors: `source-missing`; `hostile` for more links than a kernel follows.
 */
export function attach(root: string, source: string, target: string): () => void {
  const confined = openConfined(root);
  try {
    const fd = openSource(confined, source);
    try {
      if (lstatAt(fd, '')?.type === 'directory') mkdirSync(target, 0o700);
      else writeFileSync(target, '', { mode: 0o600, flag: 'wx' });
      mount({ source: `/proc/self/fd/${fd}`, target, flags: MS_BIND | MS_REC });
    } finally {
      closeSync(fd);
    }
  } finally {
    confined.close();
  }
  return () => {
    umount(target, MNT_DETACH);
  };
}

function openSource(root: ConfinedRoot, source: string): number {
  try {
    return root.openInRoot(source.replace(/^\/+/, ''), O_PATH);
  } catch (error) {
    const errno = errnoOf(error);
    if (errno !== 'ENOENT' && errno !== 'ENOTDIR') throw error;
    throw new BuildError({
      code: 'source-missing',
      message: `mount source ${JSON.stringify(source)} is not there`,
      hint: 'the path is looked up in the stage, image or context that `from=` names',
      cause: error,
    });
  }
}
