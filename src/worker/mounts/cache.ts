/**
 * Cache mounts: directories in the store that steps share across builds, named by the hash of their id. One id may have
 * several directories (slots), as steps that do not share one need their own:
 *
 *     cache/<hash>/<slot>/lock    flock: shared by `shared` users, exclusive for `private` and `locked` ones
 *     cache/<hash>/<slot>/fs      the content; a collector removes it when it gets the lock alone (store/gc-remove.ts)
 *     cache/<hash>/<slot>/synced  what it has in common with other machines (image/mount-cache)
 *     cache/<hash>/gate.lock      held alone by who fills the cache, shared by who takes a slot
 *     cache/<hash>/id             the id, for people
 */
import { chmodSync, chownSync, existsSync, mkdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import type { ExecMount } from '../../contracts/index.ts';
import { closeLockFile, openLockFile, waitFlock } from '../../sys/flock.ts';
import { MNT_DETACH, umount } from '../../sys/mount.ts';
import { removeTree } from '../../sys/remove.ts';
import { copyTree } from '../snapshot/copy-tree.ts';
import { mountView } from '../snapshot/overlay.ts';
import { attach } from './attach.ts';
import { noteId, slotsOf, takeSlot, tryTake } from './cache-slots.ts';
import { passGate } from './hold-cache.ts';
import type { MountContext, PreparedMount } from './types.ts';

type CacheRequest = Extract<ExecMount, { readonly type: 'cache' }>;

/** Errors: `cancelled` while waiting for a `locked` cache; `source-missing` for a sub-path that is not there. */
export async function cacheMountOf(request: CacheRequest, name: string, context: MountContext): Promise<PreparedMount> {
  const seed = request.seed === undefined ? '' : `\0${request.seed.layers.join(' ')}\0${request.seed.source}`;
  const base = context.layout.cacheDir(`${request.id}${seed}`);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  noteId(base, request.id);
  if (request.emptyFor !== undefined) await emptyOnce(base, request.emptyFor, context.signal);
  const gate = await passGate(base, context.signal);
  const slot = await takeSlot(base, request.sharing, context.signal, () => {
    // The namespace of caches stands before it, and is empty as a rule.
    const id = request.id.replace(/^\//, '');
    const name = id === request.target ? '' : ` (id=${id})`;
    context.tell(`waiting for the cache mount ${request.target}${name}, which is locked by another step`);
  }).finally(() => gate.release());
  try {
    const content = `${slot.directory}/fs`;
    if (!existsSync(content)) await fillOnce(content, request, name, context);
    const target = context.place(name);
    const detach = attach(content, request.source, target);
    return {
      mount: {
        destination: request.target,
        type: 'bind',
        source: target,
        options: ['rbind', request.readonly ? 'ro' : 'rw', ...(context.devices ? [] : ['nodev'])],
      },
      release() {
        detach();
        slot.release();
      },
    };
  } catch (error) {
    slot.release();
    throw error;
  }
}

/** Which build emptied a cache last. */
const EMPTIED_FOR = 'emptied-for';

/** `--no-cache` (BuildKit: solver/llbsolver/vertex.go): once a build; what another build uses right now stays. */
async function emptyOnce(base: string, build: string, signal: AbortSignal): Promise<void> {
  const lock = openLockFile(`${base}/${EMPTIED_FOR}.lock`);
  try {
    await waitFlock(lock, false, signal);
    const marker = `${base}/${EMPTIED_FOR}`;
    if (existsSync(marker) && readFileSync(marker, 'utf8') === build) return;
    for (const number of slotsOf(base)) {
      const slot = tryTake(`${base}/${number}`, false);
      if (slot === undefined) continue;
      removeTree(`${slot.directory}/fs`);
      slot.release();
    }
    writeFileSync(marker, build);
  } finally {
    closeLockFile(lock);
  }
}

/** Of several that share a new slot, one fills it; under a name of its own first, so that it is filled or empty. */
async function fillOnce(content: string, request: CacheRequest, name: string, context: MountContext): Promise<void> {
  const lock = openLockFile(`${content}.lock`);
  try {
    await waitFlock(lock, false, context.signal);
    if (existsSync(content)) return;
    const draft = `${content}.new`;
    rmSync(draft, { recursive: true, force: true });
    if (request.seed === undefined) mkdirSync(draft, { mode: 0o755 });
    else seed(draft, request.seed, name, context);
    if (request.mode !== undefined) chmodSync(draft, request.mode & 0o7777);
    if (request.uid !== undefined || request.gid !== undefined) chownSync(draft, request.uid ?? 0, request.gid ?? 0);
    renameSync(draft, content);
  } finally {
    closeLockFile(lock);
  }
}

function seed(target: string, from: NonNullable<CacheRequest['seed']>, name: string, context: MountContext): void {
  const view = context.place(`${name}-seed`);
  const part = context.place(`${name}-seed-part`);
  mkdirSync(view);
  mountView({
    layers: context.directoriesOf(from.layers, name),
    empty: context.empty,
    target: view,
    devices: false,
  });
  try {
    const detach = attach(view, from.source, part);
    try {
      copyTree(part, target);
    } finally {
      detach();
    }
  } finally {
    umount(view, MNT_DETACH);
  }
}
