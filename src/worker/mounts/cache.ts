/**
 * Cache mounts: directories in the store that steps share across builds, named by the hash of their id. One id may have
 * several directories (slots), as steps that do not share one need their own:
 *
 *     cache/<hash>/<slot>/lock    flock: shared by `shared` users, exclusive for `private` and `locked` ones
 *     cache/<hash>/<slot>/fs      the content; a collector removes it when it gets the lock alone (store/gc-remove.ts)
 *     cache/<hash>/id             the id, for people
 */
import {
  chmodSync,
  chownSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { BuildError, type ExecMount } from '../../contracts/index.ts';
import { closeLockFile, openLockFile, tryFlock, waitFlock } from '../../sys/flock.ts';
import { MNT_DETACH, umount } from '../../sys/mount.ts';
import { removeTree } from '../../sys/remove.ts';
import { copyTree } from '../snapshot/copy-tree.ts';
import { mountView } from '../snapshot/overlay.ts';
import { attach } from './attach.ts';
import type { MountContext, PreparedMount } from './types.ts';

type CacheRequest = Extract<ExecMount, { readonly type: 'cache' }>;

/** Pause between two looks at a cache that somebody else has locked, milliseconds. */
const LOCK_PAUSE = 50;

/** Errors: `cancelled` while waiting for a `locked` cache; `source-missing` for a sub-path that is not there. */
export async function cacheMountOf(request: CacheRequest, name: string, context: MountContext): Promise<PreparedMount> {
  const seed = request.seed === undefined ? '' : `\0${request.seed.layers.join(' ')}\0${request.seed.source}`;
  const base = context.layout.cacheDir(`${request.id}${seed}`);
  mkdirSync(base, { recursive: true, mode: 0o700 });
  noteId(base, request.id);
  if (request.emptyFor !== undefined) await emptyOnce(base, request.emptyFor, context.signal);
  const slot = await takeSlot(base, request.sharing, context.signal);
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

/** What people call it: the directory's name is a hash. */
function noteId(base: string, id: string): void {
  if (!existsSync(`${base}/id`)) writeFileSync(`${base}/id`, id, { mode: 0o600 });
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

function slotsOf(base: string): readonly number[] {
  return readdirSync(base)
    .filter((entry) => /^\d+$/.test(entry))
    .map(Number)
    .sort((a, b) => a - b);
}

interface Slot {
  readonly directory: string;
  release(): void;
}

/**
 * As BuildKit: the first slot that may be used with this sharing; when all are taken, `locked` waits, the others get a
 * new one.
 */
async function takeSlot(base: string, sharing: CacheRequest['sharing'], signal: AbortSignal): Promise<Slot> {
  for (;;) {
    const slots = slotsOf(base);
    for (const number of slots) {
      const taken = tryTake(`${base}/${number}`, sharing === 'shared');
      if (taken !== undefined) return taken;
    }
    if (sharing !== 'locked' || slots.length === 0) {
      // Two that come at once make the same one: the second finds it taken, or shares it, on its next look.
      mkdirSync(`${base}/${(slots.at(-1) ?? -1) + 1}`, { recursive: true, mode: 0o700 });
      continue;
    }
    await sleep(LOCK_PAUSE, undefined, { signal }).catch((cause: unknown) => {
      throw new BuildError({ code: 'cancelled', message: 'cancelled while waiting for a locked cache mount', cause });
    });
  }
}

function tryTake(directory: string, shared: boolean): Slot | undefined {
  const fd = openLockFile(`${directory}/lock`);
  if (!tryFlock(fd, shared)) {
    closeLockFile(fd);
    return undefined;
  }
  touch(`${directory}/lock`);
  return {
    directory,
    release() {
      touch(`${directory}/lock`);
      closeLockFile(fd);
    },
  };
}

/** When a slot was used last, and may have changed: for those who measure and collect. */
function touch(path: string): void {
  const now = new Date();
  utimesSync(path, now, now);
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
