/** Actions as the Dockerfile front end makes them, for tests. */
import type { FileTree } from '../../contracts/index.ts';
import type { CopyAction, MkDirAction, MkFileAction } from '../../llb/index.ts';
import { copySources } from '../ops/copy.ts';
import { stampOf } from '../ops/make.ts';
import type { Making } from '../ops/make.ts';
import { selectSources } from '../ops/select.ts';
import { StagedTree } from '../ops/staged-tree.ts';

/** `COPY src dest`. */
export function copyAction(src: string, dest: string, rest: Partial<CopyAction> = {}): CopyAction {
  return {
    kind: 'copy',
    src: src.startsWith('/') ? src : `/${src}`,
    dest,
    mode: -1,
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: false,
    createDestPath: true,
    allowWildcard: true,
    allowEmptyWildcard: true,
    timestamp: -1n,
    includePatterns: [],
    excludePatterns: [],
    alwaysReplaceExistingDestPaths: false,
    requiredPaths: [],
    ...rest,
  };
}

export function mkDir(path: string, rest: Partial<MkDirAction> = {}): MkDirAction {
  return { kind: 'mkdir', path, mode: 0o755, makeParents: true, timestamp: -1n, ...rest };
}

export function mkFile(path: string, text: string, rest: Partial<MkFileAction> = {}): MkFileAction {
  return { kind: 'mkfile', path, mode: 0o644, data: Buffer.from(text), timestamp: -1n, ...rest };
}

/** The time of what is made without one. */
export const NOW = { mtime: 1_700_000_000, mtimeNsec: 5 };

/** Copies from `source` onto `staged`. */
export async function copyOnto(
  staged: StagedTree,
  source: FileTree,
  action: CopyAction,
  owner?: Making['owner'],
): Promise<void> {
  const selection = await selectSources({ tree: source, snapshot: undefined, vertex: undefined }, action);
  await copySources(staged, selection, action, { owner, stamp: stampOf(action.timestamp) ?? NOW }, undefined);
}

export { StagedTree };
