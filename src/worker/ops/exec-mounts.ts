/** What the mounts of an exec op stand for: layers with directories, files and sockets on this machine. */
import { randomBytes } from 'node:crypto';
import { accessSync, constants, rmSync, writeFileSync } from 'node:fs';
import { BuildError } from '../../contracts/index.ts';
import type { ExecMount, Layer, LayerId, Snapshot, WorkContext } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import type { Mount, MountType, Op, Vertex } from '../../llb/index.ts';
import type { WorkerDeps } from '../types.ts';
import { contextLayer } from './context-layer.ts';
import { ensureDirectory } from './directory.ts';
import { cleanPath } from './path.ts';

type ExecOp = Extract<Op, { readonly kind: 'exec' }>;

export interface PreparedExecMounts {
  readonly root: { readonly mount: Mount; readonly snapshot: Snapshot };
  readonly mounts: readonly ExecMount[];
  /** By output: what mounts give out that cannot have been changed. */
  readonly passedThrough: Snapshot[];
  /** Removes secrets from this machine's tmpfs. */
  release(): Promise<void>;
}

/** Makes all layers' directories, at once. */
export async function prepareExecMounts(
  vertex: Vertex,
  op: ExecOp,
  inputs: readonly Snapshot[],
  deps: WorkerDeps,
  context: WorkContext,
): Promise<PreparedExecMounts> {
  const rootMount = op.mounts.find((mount) => mount.dest === '/');
  if (rootMount === undefined || rootMount.type.kind !== 'bind') {
    throw new BuildError({ code: 'internal', message: 'the exec op has no root mount' });
  }
  const secretFiles: string[] = [];
  const emptyFor = context.anew === true ? deps.buildId : undefined;
  const release = async (): Promise<void> => {
    for (const file of secretFiles) rmSync(file, { force: true });
  };
  try {
    const layersOf = (mount: Mount): Promise<Snapshot> => inputOf(mount, inputs, deps);
    const root = { mount: rootMount, snapshot: await layersOf(rootMount) };
    const passedThrough: Snapshot[] = [];
    const mounts: ExecMount[] = [];
    const needed = new Map<LayerId, Layer>();
    const need = ({ layers }: Snapshot): readonly LayerId[] => {
      for (const layer of layers) needed.set(layer.id, layer);
      return layers.map((layer) => layer.id);
    };
    need(root.snapshot);
    for (const mount of op.mounts) {
      if (mount === rootMount) continue;
      const snapshot = await layersOf(mount);
      // `/a/../m` must not make `/a`; what is relative (BuildKit's front end leaves secrets so) is below the step's cwd.
      const dest = cleanPath(mount.dest.startsWith('/') ? mount.dest : `${op.meta.cwd}/${mount.dest}`);
      const made = execMount({ ...mount, dest }, need(snapshot), vertex, deps, {
        secretFiles,
        emptyFor,
      });
      if (made !== undefined) mounts.push(made);
      if (mount.output >= 0) passedThrough[mount.output] = unchangedOutput(mount, snapshot);
    }
    const beside = new Set(needed.keys());
    const caches = new Set(mounts.flatMap((made) => (made.type === 'cache' && made.seed === undefined ? made.id : [])));
    await Promise.all([
      ...[...needed.values()].map((layer) => ensureDirectory(layer, deps, context.signal, beside)),
      ...[...caches].map((id) => deps.beforeCacheMount?.(id, context)),
    ]);
    return { root, mounts, passedThrough, release };
  } catch (error) {
    await release();
    throw error;
  }
}

async function inputOf(mount: Mount, inputs: readonly Snapshot[], deps: WorkerDeps): Promise<Snapshot> {
  if (mount.input < 0) return snapshotOf([]);
  const input = inputs[mount.input];
  if (input === undefined) throw new BuildError({ code: 'internal', message: `missing input ${mount.input}` });
  // A build context has no layers: what the step may see of it becomes one.
  return input.inPlace ? snapshotOf([await contextLayer(input.files, mount.selector ?? '', deps)]) : input;
}

/** BuildKit gives the input out again where a mount could not be written. */
function unchangedOutput(mount: Mount, snapshot: Snapshot): Snapshot {
  if (mount.readonly || mount.type.kind === 'cache') return snapshot;
  throw new BuildError({
    code: 'unsupported',
    message: `what a step writes to the mount ${mount.dest} cannot be an output of its own`,
  });
}

/** Undefined for what is optional and not given. */
function execMount(
  mount: Mount,
  layers: readonly LayerId[],
  vertex: Vertex,
  deps: WorkerDeps,
  { secretFiles, emptyFor }: { readonly secretFiles: string[]; readonly emptyFor: string | undefined },
): ExecMount | undefined {
  const { type, dest: target } = mount;
  const source = mount.selector ?? '';
  switch (type.kind) {
    case 'bind':
      return { type: 'bind', target, layers, source, readonly: mount.readonly && mount.input >= 0 };
    case 'cache':
      return cacheMount(mount, type, layers, vertex, emptyFor);
    case 'tmpfs':
      return { type: 'tmpfs', target, size: type.size, readonly: mount.readonly };
    case 'secret': {
      const value = deps.secrets?.(type.id);
      if (value === undefined && type.optional) return undefined;
      if (value === undefined) throw secretNotFound(type.id);
      const hostFile = writeSecret(value, deps);
      secretFiles.push(hostFile);
      return { type: 'secret', target, hostFile, uid: type.uid, gid: type.gid, mode: type.mode };
    }
    case 'ssh': {
      const hostSocket = deps.ssh?.(type.id);
      if (hostSocket === undefined && type.optional) return undefined;
      if (hostSocket === undefined) {
        const id = type.id === '' ? 'default' : type.id;
        throw new BuildError({
          code: 'usage',
          message: `no SSH key ${JSON.stringify(id)} forwarded from the client`,
          hint: `give it with --ssh ${id}`,
        });
      }
      return { type: 'ssh', target, hostSocket, uid: type.uid, gid: type.gid, mode: type.mode };
    }
  }
}

/**
 * A cache mount with an owner or mode comes as a mount of a directory that a file op makes on scratch: that is how a new
 * cache is to look, not a part of which cache it is. Any other input is what the cache grows on, and another one
 * another cache, as in BuildKit.
 */
function cacheMount(
  mount: Mount,
  type: Extract<MountType, { readonly kind: 'cache' }>,
  layers: readonly LayerId[],
  vertex: Vertex,
  emptyFor: string | undefined,
): ExecMount {
  const { dest: target, readonly } = mount;
  const cache = { type: 'cache', target, id: type.id, sharing: type.sharing, readonly, emptyFor } as const;
  const source = mount.selector ?? '';
  if (mount.input < 0) return { ...cache, source };
  const fresh = freshDirectory(vertex.inputs[mount.input]?.vertex.op, source);
  if (fresh !== undefined) return { ...cache, source: '', ...fresh };
  return { ...cache, source, seed: { layers, source: '' } };
}

function freshDirectory(
  op: Op | undefined,
  path: string,
): { readonly mode: number; readonly uid?: number | undefined; readonly gid?: number | undefined } | undefined {
  if (op?.kind !== 'file' || op.actions.length !== 1) return undefined;
  const [only] = op.actions;
  if (only?.action.kind !== 'mkdir' || only.input !== -1) return undefined;
  const { mode, owner } = only.action;
  if (only.action.path.replace(/\/+$/, '') !== path.replace(/\/+$/, '')) return undefined;
  if (owner?.user?.kind === 'name' || owner?.group?.kind === 'name') return undefined;
  return { mode, uid: owner?.user?.id, gid: owner?.group?.id };
}

export function secretNotFound(id: string): BuildError {
  return new BuildError({
    code: 'usage',
    message: `secret ${id}: not found`,
    hint: `give it with --secret id=${id},src=FILE or --secret id=${id},env=NAME`,
  });
}

/** On a tmpfs where there is one: the value should not reach a disk. */
function writeSecret(value: Uint8Array, deps: Pick<WorkerDeps, 'store'>): string {
  const name = `slipway-${randomBytes(9).toString('hex')}`;
  let file = `/dev/shm/${name}`;
  try {
    accessSync('/dev/shm', constants.W_OK);
  } catch {
    file = deps.store.tempPath('secret');
  }
  writeFileSync(file, value, { mode: 0o600, flag: 'wx' });
  return file;
}
