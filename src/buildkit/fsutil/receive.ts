/** The receiving side of fsutil's transfer (`-o type=local`): everything is taken, then put into its place. */
import { closeSync, writeSync } from 'node:fs';
import type { FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import { decode, encode } from '../../llb/index.ts';
import { decodePath } from '../../sys/path.ts';
import { Packet } from '../gen/session.ts';
import type { PbStat } from '../gen/session.ts';
import type { ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { fromGoMode } from './mode.ts';
import { PACKET } from './send.ts';

/** Where what is received goes: export's LocalWriter, or what stands in for it on other systems than Linux. */
export interface DirectoryTarget {
  write(path: TreePath, entry: NodeEntry, location: undefined): number;
  stage(): { readonly fd: number; readonly staged: TreePath };
  adopt(path: TreePath, entry: FileEntry, staged: TreePath): void;
  removeOthers(kept: ReadonlySet<TreePath>): void;
  finish(): void;
}

/** A daemon that sends more has lost its mind; each costs us some hundred bytes. */
const ENTRIES_MAX = 20_000_000;

interface Received {
  readonly path: TreePath;
  readonly entry: NodeEntry;
  /** Of a regular file whose bytes have come. */
  staged: TreePath | undefined;
}

interface Incoming {
  readonly item: Received;
  fd: number | undefined;
  size: number;
}

/**
 * Receives a directory. Until all of it is there, nothing shows under its name.
 *
 * @throws GrpcError when the sender fails or breaks the rules
 */
export async function receiveFiles(
  call: ServerCall,
  target: DirectoryTarget,
  options: { readonly removeOthers: boolean; readonly onProgress?: (bytes: number) => void },
): Promise<void> {
  const items: Received[] = [];
  const waiting = new Map<number, Incoming>();
  const list = { ended: false };
  let bytes = 0;
  const isDone = (): boolean => list.ended && waiting.size === 0;

  const take = async (stat: PbStat | undefined): Promise<void> => {
    if (stat === undefined) {
      list.ended = true;
      return;
    }
    const item = { ...itemOf(stat, items.at(-1)?.path), staged: undefined };
    const id = items.push(item) - 1;
    if (id > ENTRIES_MAX) throw broken('too many entries');
    if (item.entry.type !== 'file' || item.entry.hardlink !== undefined || item.entry.size === 0) return;
    waiting.set(id, { item, fd: undefined, size: 0 });
    await call.write(encode(Packet, { type: PACKET.req, ID: id }));
  };
  const fill = (id: number, data: Uint8Array): void => {
    const file = waiting.get(id);
    if (file === undefined) throw broken(`bytes of file ${id}, which was not asked for`);
    if (file.fd === undefined) {
      const { fd, staged } = target.stage();
      file.fd = fd;
      file.item.staged = staged;
    }
    for (let at = 0; at < data.length;) at += writeSync(file.fd, data, at);
    file.size += data.length;
    bytes += data.length;
    options.onProgress?.(bytes);
    if (data.length > 0) return;
    closeSync(file.fd);
    file.fd = undefined;
    waiting.delete(id);
    if (file.item.entry.type === 'file' && file.size !== file.item.entry.size)
      throw broken(`${file.item.path} has ${file.size} bytes instead of ${file.item.entry.size}`);
  };

  try {
    while (!isDone()) {
      const message = await call.incoming.next();
      if (message === undefined) throw new GrpcError(STATUS.cancelled, 'the transfer of files was cut short');
      const packet = decode(Packet, message);
      const type = packet.type ?? 0;
      if (type === PACKET.stat && !list.ended) await take(packet.stat);
      else if (type === PACKET.data) fill(packet.ID ?? 0, packet.data ?? new Uint8Array());
      else if (type === PACKET.err)
        throw new GrpcError(STATUS.unknown, Buffer.from(packet.data ?? []).toString('utf8'));
      else throw broken(`a packet of type ${type}`);
    }
    place(items, target, options.removeOthers);
  } finally {
    for (const { fd } of waiting.values()) if (fd !== undefined) closeSync(fd);
  }
  await call.write(encode(Packet, { type: PACKET.fin }));
  // The sender answers, and then ends the call.
  for await (const message of call.incoming) if ((decode(Packet, message).type ?? 0) === PACKET.fin) break;
}

function place(items: readonly Received[], target: DirectoryTarget, removeOthers: boolean): void {
  for (const { path, entry, staged } of items) {
    if (entry.type === 'file' && staged !== undefined) target.adopt(path, entry, staged);
    else target.write(path, entry, undefined);
  }
  if (removeOthers) target.removeOthers(new Set(items.map(({ path }) => path)));
  target.finish();
}

function itemOf(stat: PbStat, before: TreePath | undefined): { readonly path: TreePath; readonly entry: NodeEntry } {
  const path = decodePath(stat.path ?? new Uint8Array());
  // Relative, clean, in order: what the writer is handed leads nowhere else and comes once.
  if (
    path === '' ||
    path.includes('\0') ||
    path.split('/').some((part) => part === '' || part === '.' || part === '..')
  )
    throw broken(`the path ${JSON.stringify(path)}`);
  if (before !== undefined && comparePaths(before, path) >= 0)
    throw broken(`the path ${JSON.stringify(path)} after ${JSON.stringify(before)}`);
  const type = fromGoMode(stat.mode ?? 0);
  if (type === undefined) throw broken(`${path} of an unknown type`);
  const nanoseconds = stat.modTime ?? 0n;
  const second = BigInt.asIntN(64, nanoseconds / 1_000_000_000n - (nanoseconds % 1_000_000_000n < 0n ? 1n : 0n));
  const meta = {
    mode: type.mode,
    uid: 0,
    gid: 0,
    mtime: Number(second),
    mtimeNsec: Number(nanoseconds - second * 1_000_000_000n),
    xattrs: stat.xattrs === undefined ? undefined : new Map(Object.entries(stat.xattrs)),
  };
  const link = decodePath(stat.linkname ?? new Uint8Array());
  switch (type.type) {
    case 'file':
      return {
        path,
        entry: { type: 'file', size: Number(stat.size ?? 0n), ...(link !== '' && { hardlink: link }), ...meta },
      };
    case 'symlink':
      return { path, entry: { type: 'symlink', target: link, ...meta } };
    case 'char-device':
    case 'block-device':
      return {
        path,
        entry: { type: type.type, major: Number(stat.devmajor ?? 0n), minor: Number(stat.devminor ?? 0n), ...meta },
      };
    default:
      return { path, entry: { type: type.type, ...meta } };
  }
}

/** Bytewise with `/` lowest. */
function comparePaths(a: string, b: string): number {
  const [x, y] = [Buffer.from(a.replaceAll('/', '\0')), Buffer.from(b.replaceAll('/', '\0'))];
  return Buffer.compare(x, y);
}

function broken(what: string): GrpcError {
  return new GrpcError(STATUS.invalidArgument, `the daemon sent ${what}`);
}
