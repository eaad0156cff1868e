import { readlinkSync } from 'node:fs';
import { BuildError, type TreePath } from '../../contracts/index.ts';
import { decodePath, encodePath } from '../../sys/path.ts';
import { lstat } from '../../sys/stat.ts';

export interface RootPath {
  /** Where the path leads inside the root, no component of it a symbolic link. */
  readonly path: TreePath;
  /** How many of its components are there. */
  readonly existing: number;
}

/** As continuity's `fs.RootPath`, which containerd and BuildKit resolve with. */
const MAX_LINKS = 255;

/**
 * Resolves a path as a process would whose root directory `root` is, also where its last components are missing. For a
 * root that nothing writes to at this moment; where something may, `openInRoot` of sys/confined.ts asks the kernel.
 */
export function resolveInRoot(root: string, path: string): RootPath {
  const pending = components(path);
  const real: string[] = [];
  let missing = false;
  let existing = 0;
  let links = 0;
  for (let name = pending.shift(); name !== undefined; name = pending.shift()) {
    if (name === '..') {
      real.pop();
      if (real.length <= existing) {
        existing = real.length;
        missing = false;
      }
      continue;
    }
    real.push(name);
    if (missing) continue;
    const host = `${root}/${real.join('/')}`;
    const stat = lstat(host);
    if (stat === undefined) {
      missing = true;
      continue;
    }
    if (stat.type !== 'symlink') {
      existing = real.length;
      // Below what is no directory there can be nothing.
      if (stat.type !== 'directory') missing = true;
      continue;
    }
    if (++links > MAX_LINKS) {
      throw new BuildError({ code: 'run-failed', message: `too many symbolic links in ${path}` });
    }
    const target = decodePath(readlinkSync(encodePath(host), 'buffer'));
    real.pop();
    if (target.startsWith('/')) {
      real.length = 0;
      existing = 0;
    }
    pending.unshift(...components(target));
  }
  return { path: real.join('/'), existing };
}

function components(path: string): string[] {
  return path.split('/').filter((name) => name !== '' && name !== '.');
}
