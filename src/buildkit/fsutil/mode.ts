/** Modes travel as Go's os.FileMode, whose high bits are not those of st_mode. */
import type { NodeEntry } from '../../contracts/index.ts';

export const MODE = {
  directory: 2 ** 31,
  symlink: 2 ** 27,
  device: 2 ** 26,
  pipe: 2 ** 25,
  socket: 2 ** 24,
  setuid: 2 ** 23,
  setgid: 2 ** 22,
  charDevice: 2 ** 21,
  sticky: 2 ** 20,
  irregular: 2 ** 19,
} as const;

const TYPE_OF: Readonly<Record<NodeEntry['type'], number>> = {
  file: 0,
  directory: MODE.directory,
  symlink: MODE.symlink,
  'block-device': MODE.device,
  'char-device': MODE.device + MODE.charDevice,
  fifo: MODE.pipe,
  // A socket travels as an empty file (fsutil, stat.go): archives know no sockets.
  socket: 0,
};

export function toGoMode(type: NodeEntry['type'], mode: number): number {
  return (
    TYPE_OF[type] +
    (mode & 0o777) +
    (mode & 0o4000 ? MODE.setuid : 0) +
    (mode & 0o2000 ? MODE.setgid : 0) +
    (mode & 0o1000 ? MODE.sticky : 0)
  );
}

/** Undefined for what is no file system entry that we know. */
export function fromGoMode(mode: number): { readonly type: NodeEntry['type']; readonly mode: number } | undefined {
  const has = (bit: number): boolean => Math.floor(mode / bit) % 2 === 1;
  if (has(MODE.irregular)) return undefined;
  const permissions =
    (mode & 0o777) |
    (has(MODE.setuid) ? 0o4000 : 0) |
    (has(MODE.setgid) ? 0o2000 : 0) |
    (has(MODE.sticky) ? 0o1000 : 0);
  const type = has(MODE.directory)
    ? 'directory'
    : has(MODE.symlink)
      ? 'symlink'
      : has(MODE.device)
        ? has(MODE.charDevice)
          ? 'char-device'
          : 'block-device'
        : has(MODE.pipe)
          ? 'fifo'
          : has(MODE.socket)
            ? 'socket'
            : 'file';
  return { type, mode: permissions };
}
