/**
 * Mount points that the runtime makes in the root because they were not there: they are no change of the step's, and
 * are removed again if they are still what the runtime made.
 */
import type { TreePath } from '../../contracts/index.ts';
import { BuildError } from '../../contracts/index.ts';
import type { ConfinedRoot } from '../../sys/confined.ts';
import { resolveInRoot } from './root-path.ts';

const PARENT_MODE = 0o755;

/**
 * What will have to be made for these mount points, deepest first.
 *
 * @param root Host path of the mounted root.
 */
export function plannedStubs(root: string, targets: Iterable<string>): readonly TreePath[] {
  const stubs = new Set<TreePath>();
  for (const target of targets) {
    const { path, existing } = resolveInRoot(root, target);
    const names = path.split('/');
    for (let length = names.length; length > existing; length--) stubs.add(names.slice(0, length).join('/'));
  }
  return [...stubs].sort((a, b) => b.length - a.length);
}

/**
 * Where a runtime is to mount: behind a link to what is not there, as runc would make it. crun makes nothing behind links;
 * many an image has /etc/resolv.conf as such a link.
 */
export function mountPoint(root: string, target: string): string {
  const { path, existing } = resolveInRoot(root, target);
  return path === '' || existing === path.split('/').length ? target : `/${path}`;
}

/**
 * Makes those that others are in, as runc makes them: a step may write beside a mount point, and then they stay.
 */
export function makeParentStubs(root: ConfinedRoot, stubs: readonly TreePath[]): void {
  for (const path of [...stubs].reverse()) {
    if (!stubs.some((other) => other.startsWith(`${path}/`))) continue;
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    const before = root.lstat(parent);
    root.mkdir(path, PARENT_MODE);
    root.chmod(path, PARENT_MODE);
    if (before !== undefined) root.utimens(parent, before.mtime, before.mtimeNsec);
  }
}

/**
 * Removes those that are still empty. The step may have put a symbolic link where a parent was (CVE-2024-23652): the
 * confined root follows none, and then there is nothing of ours to remove. Parents get their times back (a layer's
 * directories should not differ by what we did).
 */
export function removeStubs(root: ConfinedRoot, stubs: readonly TreePath[]): void {
  for (const path of stubs) {
    try {
      removeStub(root, path);
    } catch (error) {
      if (!(error instanceof BuildError)) throw error;
    }
  }
}

function removeStub(root: ConfinedRoot, path: TreePath): void {
  const stat = root.lstat(path);
  if (stat === undefined) return;
  const slash = path.lastIndexOf('/');
  const parent = slash < 0 ? '' : path.slice(0, slash);
  const before = root.lstat(parent);
  if (stat.type === 'directory') root.rmdir(path);
  else if (stat.type === 'file' && stat.size === 0) root.unlink(path);
  else return;
  if (before !== undefined) root.utimens(parent, before.mtime, before.mtimeNsec);
}
