import type { FileAction } from '../llb/index.ts';

/** Copies a root with owners, modes, links and times; with patterns only what they name (as pb.FileActionCopy has them). */
export function copyFiles(includePatterns: readonly string[] = []): Extract<FileAction['action'], { kind: 'copy' }> {
  return {
    kind: 'copy',
    src: '/',
    dest: '/',
    mode: -1,
    followSymlink: false,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: false,
    createDestPath: true,
    allowWildcard: false,
    allowEmptyWildcard: false,
    timestamp: -1n,
    includePatterns,
    excludePatterns: [],
    alwaysReplaceExistingDestPaths: false,
    requiredPaths: [],
  };
}
