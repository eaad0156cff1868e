/** The sending side of fsutil's transfer: what is there, then the files that the other side lacks. */
import { closeSync, constants, openSync, read, readSync } from 'node:fs';
import { promisify } from 'node:util';
import type { FileEntry, NodeEntry, TreePath } from '../../contracts/index.ts';
import { decode, encode } from '../../llb/index.ts';
import { encodePath, encodePathBytes } from '../../sys/path.ts';
import { Packet } from '../gen/session.ts';
import type { PbStat } from '../gen/session.ts';
import { messagePrefix } from '../grpc/frames.ts';
import type { ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { toGoMode } from './mode.ts';

export const PACKET = { stat: 0, req: 1, data: 2, fin: 3, err: 4 } as const;

/** Entries in tree order, parents first. */
export type Listing = Iterable<readonly [TreePath, NodeEntry]>;

/** Small messages are written together, up to this many bytes. */
const BATCH = 64 << 10;
/** Of a file, at once. Bytes. */
const CHUNK = 256 << 10;
const readAsync = promisify(read);

/**
 * Sends `listing`; `hostPath` says where the bytes of a file are.
 *
 * @throws GrpcError when the receiver fails
 */
export async function sendFiles(
  call: ServerCall,
  listing: Listing,
  hostPath: (path: TreePath) => Promise<string>,
): Promise<{ readonly entries: number; readonly bytes: number }> {
  /** What may be asked for, by its place in the listing; undefined = it has no bytes. */
  const files = new Map<number, TreePath | undefined>();
  const out = batches(call);
  let bytes = 0;
  let entries = 0;

  const list = async (): Promise<void> => {
    for (const [path, entry] of listing) {
      call.signal.throwIfAborted();
      if (entry.type === 'file' && entry.hardlink === undefined) files.set(entries, path);
      // It is listed as a file, so its bytes are asked for.
      if (entry.type === 'socket') files.set(entries, undefined);
      entries++;
      await out.add(encode(Packet, { type: PACKET.stat, stat: statOf(path, entry) }));
    }
    await out.add(encode(Packet, { type: PACKET.stat }));
    await out.flush();
  };

  const answer = async (): Promise<void> => {
    for (;;) {
      // Nothing more is asked for at the moment: what was asked for goes now.
      if (!call.incoming.isWaiting) await out.flush();
      const message = await call.incoming.next();
      if (message === undefined) throw new GrpcError(STATUS.cancelled, 'the transfer of files was cut short');
      const packet = decode(Packet, message);
      switch (packet.type ?? 0) {
        case PACKET.req: {
          const id = packet.ID ?? 0;
          const path = files.get(id);
          if (!files.delete(id)) throw new GrpcError(STATUS.invalidArgument, `file ${id} was not offered`);
          if (path === undefined) await out.add(encode(Packet, { type: PACKET.data, ID: id }));
          else bytes += await sendFile(out, id, await hostPath(path));
          break;
        }
        case PACKET.fin:
          await out.add(encode(Packet, { type: PACKET.fin }));
          await out.flush();
          return;
        case PACKET.err:
          throw new GrpcError(STATUS.unknown, Buffer.from(packet.data ?? []).toString('utf8'));
        default:
      }
    }
  };

  try {
    await Promise.all([list(), answer()]);
  } catch (error) {
    // The other side learns why at once, not when it has waited.
    await call.write(encode(Packet, { type: PACKET.err, data: Buffer.from((error as Error).message) }));
    throw error;
  }
  return { entries, bytes };
}

interface Batches {
  add(message: Uint8Array): Promise<void>;
  /** The pieces make one message; none of them is copied. */
  direct(...pieces: readonly Uint8Array[]): Promise<void>;
  flush(): Promise<void>;
}

function batches(call: ServerCall): Batches {
  let waiting: Uint8Array[] = [];
  let size = 0;
  const flush = async (): Promise<void> => {
    if (size === 0) return;
    const all = Buffer.concat(waiting);
    waiting = [];
    size = 0;
    await call.writeFramed(all);
  };
  return {
    async add(message) {
      waiting.push(messagePrefix(message.length), message);
      size += message.length + 5;
      if (size >= BATCH) await flush();
    },
    async direct(...pieces) {
      await flush();
      await call.write(...pieces);
    },
    flush,
  };
}

/** Files are short as a rule: one buffer serves all of those; what fills it goes out as it is and gets a new one. */
let buffer = Buffer.allocUnsafe(CHUNK);

async function sendFile(out: Batches, id: number, path: string): Promise<number> {
  let fd: number;
  try {
    // A file that has become a link or a fifo since it was listed must not lead elsewhere or hang.
    fd = openSync(encodePath(path), constants.O_RDONLY | NOFOLLOW);
  } catch {
    // As fsutil: a file that is gone is empty; the step that reads it says so.
    await out.add(encode(Packet, { type: PACKET.data, ID: id }));
    return 0;
  }
  let sent = 0;
  try {
    for (;;) {
      const target = buffer;
      // The first piece at once, which is all there is of most files; then without holding up everything else.
      const got =
        sent === 0 ? readSync(fd, target, 0, CHUNK, null) : (await readAsync(fd, target, 0, CHUNK, null)).bytesRead;
      if (got < BATCH) {
        if (got > 0) await out.add(encode(Packet, { type: PACKET.data, ID: id, data: target.subarray(0, got) }));
      } else {
        if (target === buffer) buffer = Buffer.allocUnsafe(CHUNK);
        await out.direct(dataHeader(id, got), target.subarray(0, got));
      }
      sent += got;
      if (got === 0 || sent < CHUNK) break;
    }
  } finally {
    closeSync(fd);
  }
  await out.add(encode(Packet, { type: PACKET.data, ID: id }));
  return sent;
}

/** Windows has neither flag. */
const NOFOLLOW = process.platform === 'win32' ? 0 : constants.O_NOFOLLOW | constants.O_NONBLOCK;

/** `Packet{type: DATA, ID: id, data: ...}` up to where the `length` bytes of data follow. */
export function dataHeader(id: number, length: number): Uint8Array {
  const head = encode(Packet, { type: PACKET.data, ID: id });
  const tail = [0x22];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) tail.push((rest & 0x7f) | 0x80);
  tail.push(rest);
  return Buffer.concat([head, Uint8Array.from(tail)]);
}

function statOf(path: TreePath, entry: NodeEntry): PbStat {
  const xattrs = entry.xattrs === undefined ? undefined : Object.fromEntries(entry.xattrs);
  return {
    path: encodePathBytes(path),
    mode: toGoMode(entry.type, entry.mode),
    uid: entry.uid,
    gid: entry.gid,
    modTime: BigInt(entry.mtime) * 1_000_000_000n + BigInt(entry.mtimeNsec),
    xattrs,
    ...(entry.type === 'file' && fileStat(entry)),
    ...(entry.type === 'symlink' && {
      linkname: encodePathBytes(entry.target),
      size: BigInt(encodePathBytes(entry.target).length),
    }),
    ...((entry.type === 'char-device' || entry.type === 'block-device') && {
      devmajor: BigInt(entry.major),
      devminor: BigInt(entry.minor),
    }),
  };
}

function fileStat(entry: FileEntry): Pick<PbStat, 'size' | 'linkname'> {
  return entry.hardlink === undefined
    ? { size: BigInt(entry.size) }
    : { size: 0n, linkname: encodePathBytes(entry.hardlink) };
}
