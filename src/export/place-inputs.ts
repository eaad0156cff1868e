/** Where the files of each platform go in a directory or tar that takes them all. */
import { BuildError } from '../contracts/index.ts';
import type { DirectoryEntry, ExportInput, NodeEntry, TreePath } from '../contracts/index.ts';
import { normalizePlatform, platformToString } from '../image/index.ts';

export interface PlacedInput {
  readonly input: ExportInput;
  /** `linux_amd64`, `linux_arm_v7`; undefined: at the top. */
  readonly directory: string | undefined;
}

/** @param split `platform-split`; undefined: where there are several platforms. */
export function placeInputs(inputs: readonly ExportInput[], split: boolean | undefined): readonly PlacedInput[] {
  const splits = split ?? inputs.length > 1;
  return inputs.map((input) => ({ input, directory: splits ? platformDirectory(input.platform) : undefined }));
}

function platformDirectory(platform: ExportInput['platform']): string {
  return platformToString(normalizePlatform(platform)).replaceAll('/', '_');
}

export function placedPath(path: TreePath, directory: string | undefined): TreePath {
  return directory === undefined ? path : `${directory}/${path}`;
}

/** A hard link's first name moves with it. */
export function placedEntry(entry: NodeEntry, directory: string | undefined): NodeEntry {
  if (directory === undefined || entry.type !== 'file' || entry.hardlink === undefined) return entry;
  return { ...entry, hardlink: placedPath(entry.hardlink, directory) };
}

/** The directory of a platform itself. @param mtime Seconds. */
export function directoryEntry(mtime: number): DirectoryEntry {
  return { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime, mtimeNsec: 0 };
}

/**
 * Sees to it that no platform takes the place of another's file, where all go to the top.
 *
 * @throws BuildError `export`
 */
export function createClaims(): (path: TreePath, entry: NodeEntry, platform: ExportInput['platform']) => void {
  const owners = new Map<TreePath, string>();
  return (path, entry, platform) => {
    if (entry.type === 'directory') return;
    const name = platformToString(normalizePlatform(platform));
    const owner = owners.get(path);
    if (owner !== undefined && owner !== name) {
      throw new BuildError({
        code: 'export',
        message: `${path} of ${name} would take the place of ${owner}'s`,
        hint: 'leave platform-split=false out, so that each platform gets a directory',
      });
    }
    owners.set(path, name);
  };
}
