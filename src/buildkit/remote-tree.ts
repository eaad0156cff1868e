import type { FileTree, NodeEntry, TreePath } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import { decodePath } from '../sys/path.ts';
import { toBuildError } from './errors.ts';
import { fromGoMode } from './fsutil/mode.ts';
import type { PbStat } from './gen/gateway.ts';
import type { CallOptions, Channel } from './grpc/client.ts';
import { GrpcError } from './grpc/status.ts';
import { GATEWAY } from './methods.ts';

export interface RemoteTreeDeps {
  readonly channel: Channel;
  readonly call: CallOptions & { readonly signal: AbortSignal };
  /** The daemon's name for the result. */
  readonly ref: string;
  readonly where: string;
}

/** No file that is read whole is longer; a Dockerfile, above all. Bytes. */
const FILE_MAX = 16 << 20;
/** In one answer. Bytes. */
const PIECE = 2 << 20;

/** The files of a result that stays with the daemon, each looked at when it is asked for. */
export function remoteTree({ channel, call, ref, where }: RemoteTreeDeps): FileTree {
  const ask = async <T>(question: Promise<T>): Promise<T | undefined> => {
    try {
      return await question;
    } catch (error) {
      if (error instanceof GrpcError && /no such file|not a directory|not found/i.test(error.message)) return undefined;
      throw toBuildError(error, { where, signal: call.signal });
    }
  };
  const lookup = async (path: TreePath): Promise<NodeEntry | undefined> => {
    if (path === '') return { type: 'directory', mode: 0o755, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0 };
    // A look at a path follows links on the way; its directory's list does not.
    const slash = path.lastIndexOf('/');
    const found = await entries(path.slice(0, Math.max(slash, 0)));
    return found?.get(path.slice(slash + 1));
  };
  const known = new Map<TreePath, Promise<ReadonlyMap<string, NodeEntry> | undefined>>();
  const entries = (path: TreePath): Promise<ReadonlyMap<string, NodeEntry> | undefined> => {
    let listed = known.get(path);
    if (listed === undefined) {
      listed = ask(channel.unary(GATEWAY.readDir, { Ref: ref, DirPath: `/${path}` }, call)).then((answer) =>
        answer === undefined
          ? undefined
          : new Map(
              (answer.entries ?? []).flatMap((stat): [string, NodeEntry][] => {
                const entry = entryOf(stat);
                return entry === undefined ? [] : [[decodePath(stat.path ?? new Uint8Array()), entry]];
              }),
            ),
      );
      known.set(path, listed);
    }
    return listed;
  };
  const read = async (path: TreePath): Promise<Uint8Array> => {
    const pieces: Uint8Array[] = [];
    for (let at = 0; at <= FILE_MAX;) {
      const range = { Offset: BigInt(at), Length: BigInt(PIECE) };
      const answer = await ask(channel.unary(GATEWAY.readFile, { Ref: ref, FilePath: `/${path}`, Range: range }, call));
      if (answer === undefined) throw new BuildError({ code: 'source-missing', message: `there is no file ${path}` });
      const data = answer.Data ?? new Uint8Array();
      pieces.push(data);
      at += data.length;
      if (data.length < PIECE) return Buffer.concat(pieces);
    }
    throw new BuildError({ code: 'context', message: `${path} is too large to be read here` });
  };
  const list = async (path: TreePath): Promise<readonly string[] | undefined> => {
    if (path !== '' && (await lookup(path))?.type !== 'directory') return undefined;
    const found = await entries(path);
    return found === undefined
      ? undefined
      : [...found.keys()].sort((a, b) => Buffer.compare(Buffer.from(a), Buffer.from(b)));
  };
  return {
    lookup,
    list,
    async walk(path) {
      const found: (readonly [TreePath, NodeEntry])[] = [];
      const visit = async (directory: TreePath): Promise<void> => {
        const inside = await entries(directory);
        for (const name of (await list(directory)) ?? []) {
          const entry = inside?.get(name);
          const child = directory === '' ? name : `${directory}/${name}`;
          if (entry === undefined) continue;
          found.push([child, entry]);
          if (entry.type === 'directory') await visit(child);
        }
      };
      await visit(path);
      return found;
    },
    async digests() {
      throw new BuildError({ code: 'internal', message: 'digests of files stay with the daemon' });
    },
    async locate(paths) {
      return await Promise.all(Array.from(paths, async (path) => ({ kind: 'bytes' as const, data: await read(path) })));
    },
  };
}

function entryOf(stat: PbStat): NodeEntry | undefined {
  const type = fromGoMode(stat.mode ?? 0);
  if (type === undefined) return undefined;
  const meta = { mode: type.mode, uid: stat.uid ?? 0, gid: stat.gid ?? 0, mtime: 0, mtimeNsec: 0 };
  switch (type.type) {
    case 'file':
      return { type: 'file', size: Number(stat.size ?? 0n), ...meta };
    case 'symlink':
      return { type: 'symlink', target: decodePath(stat.linkname ?? new Uint8Array()), ...meta };
    case 'char-device':
    case 'block-device':
      return { type: type.type, major: Number(stat.devmajor ?? 0n), minor: Number(stat.devminor ?? 0n), ...meta };
    default:
      return { type: type.type, ...meta };
  }
}
