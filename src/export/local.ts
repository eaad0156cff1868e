import { closeSync, constants, fchmodSync, mkdirSync, writeSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuildError, type Exporter, type NodeEntry, type TreePath } from '../contracts/index.ts';
import { openConfined, type ConfinedRoot } from '../sys/confined.ts';
import { writeXattr } from '../sys/xattr.ts';
import { contentOf, located, type LocatedEntry } from './content.ts';
import { exportError } from './destination.ts';
import { status } from './status.ts';

/**
 * The files of the result in a directory, owned by who runs the build (BuildKit: exporter/local). What is there already
 * stays unless a file of the same name comes; nothing that is there is followed outward.
 */
export function localExporter(dest: string): Exporter {
  return {
    name: 'exporting to client directory',
    export: async (input, context) => {
      const report = status(context.events, 'copying files');
      let root: ConfinedRoot | undefined;
      try {
        mkdirSync(dest, { recursive: true });
        root = openConfined(resolve(dest));
        const directories: (readonly [TreePath, NodeEntry])[] = [];
        for await (const batch of located(input.snapshot.files)) {
          context.signal.throwIfAborted();
          for (const item of batch) {
            if (item.entry.type === 'directory') directories.push([item.path, item.entry]);
            writeEntry(root, item);
          }
        }
        // Times of directories change while they are filled.
        for (const [path, entry] of directories.reverse()) root.utimens(path, entry.mtime, entry.mtimeNsec);
      } catch (error) {
        throw exportError(dest, error);
      } finally {
        root?.close();
      }
      report.done();
      return {};
    },
  };
}

function writeEntry(root: ConfinedRoot, { path, entry, location }: LocatedEntry): void {
  const there = root.lstat(path);
  if (entry.type === 'directory') {
    if (there !== undefined && there.type !== 'directory') root.unlink(path);
    if (there?.type !== 'directory') root.mkdir(path, 0o700);
    root.chmod(path, entry.mode);
    return;
  }
  if (entry.type === 'socket') return;
  if (there?.type === 'directory') {
    throw new BuildError({
      code: 'export',
      message: `${path}: a directory is in the way of a file`,
      hint: `remove it, or export to an empty directory`,
    });
  }
  if (there !== undefined) root.unlink(path);
  switch (entry.type) {
    case 'file': {
      if (entry.hardlink !== undefined) {
        root.link(entry.hardlink, path);
        return;
      }
      const fd = root.open(path, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL, 0o600);
      try {
        if (location !== undefined) for (const chunk of contentOf(path, entry, location)) writeAll(fd, chunk);
        fchmodSync(fd, entry.mode);
        for (const [name, value] of entry.xattrs ?? []) if (name.startsWith('user.')) writeXattr(fd, name, value);
      } finally {
        closeSync(fd);
      }
      break;
    }
    case 'symlink':
      root.symlink(entry.target, path);
      break;
    case 'fifo':
      root.mknod(path, { type: 'fifo', mode: entry.mode });
      break;
    case 'char-device':
    case 'block-device':
      root.mknod(path, { type: entry.type, mode: entry.mode, major: entry.major, minor: entry.minor });
      break;
  }
  root.utimens(path, entry.mtime, entry.mtimeNsec);
}

function writeAll(fd: number, chunk: Uint8Array): void {
  for (let at = 0; at < chunk.length;) at += writeSync(fd, chunk, at);
}
