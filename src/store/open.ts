import {
  accessSync,
  constants,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  writeFileSync,
} from 'node:fs';
import { relative } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import { asBuildError, errnoOf } from '../sys/errno.ts';
import { closeLockFile, openLockFile, waitFlock } from '../sys/flock.ts';
import { createBlobs } from './blobs.ts';
import { createBuilds } from './builds.ts';
import { collectDead, runInBackground } from './collect.ts';
import { createWriter, hasSingleFile } from './content.ts';
import { newerVersion, notWritable, openDatabase, type Database } from './database.ts';
import { defaultRoot } from './default-root.ts';
import { createDigests } from './digests.ts';
import { createCollection } from './gc.ts';
import { createFacts } from './facts.ts';
import { createHolds } from './holds.ts';
import { createImages } from './images.ts';
import { createLayerIds } from './layer-ids.ts';
import { createLayers } from './layers.ts';
import { storeLayout, type StoreLayout } from './layout.ts';
import { holdLease, type Lease } from './lease.ts';
import { createLock } from './locks.ts';
import { createRecords } from './records.ts';
import { currentBootId, openSettlement } from './settle.ts';
import { createContexts } from './contexts.ts';
import { createStatCaches } from './stat-cache.ts';
import type { Store } from './types.ts';

export interface StoreOptions {
  /** The state directory; absent = {@link defaultRoot} of this process. */
  readonly root?: string | undefined;
  /** For tests: another one than the machine's stands for a start of the machine in between. */
  readonly bootId?: string | undefined;
  /** The directory of the build context for which cache records will be made. */
  readonly project?: string | undefined;
  /** Who opens it, for other processes that wait for this one: `build 1f2e3d4c5b`. */
  readonly holder?: string | undefined;
  /**
   * Another process has for a second what this one needs.
   *
   * @param holder Who it is and what it does, in words.
   * @returns Called when the wait is over.
   */
  readonly onWait?: ((holder: string | undefined) => () => void) | undefined;
}

/** Of the layout of the state directory; raised when an older slipway could not use it any more. */
const FORMAT = 1;

/**
 * Opens the state directory, makes it when it is not there. Takes about a millisecond; what dead processes left is
 * removed only by processes that write, in the background.
 *
 * Errors: `permission` when it is not writable, `store` when it is damaged or of a newer version, `disk-full`.
 */
export async function openStore(options: StoreOptions = {}): Promise<Store> {
  const layout = storeLayout(options.root ?? defaultRoot(process.env, process.getuid?.() ?? 0));
  await ensureDirectory(layout);
  const db = openDatabase(layout.database, layout.root);
  try {
    return assemble(layout, db, options);
  } catch (error) {
    db.close();
    throw error;
  }
}

function assemble(layout: StoreLayout, db: Database, options: StoreOptions): Store {
  const { bootId, project, holder, onWait } = options;
  const settlement = openSettlement(db, layout, bootId ?? currentBootId());
  let lease: Lease | undefined;
  let collector: { stop(): void } | undefined;
  let closing = false;
  let closed = false;
  let hasWritten = false;
  db.onFlushed(() => (hasWritten = true));

  /** The first write of a process makes its lease; only then is there reason to look after the others. */
  function ownLease(): Lease {
    if (closed) throw new BuildError({ code: 'internal', message: 'the store is closed' });
    if (lease === undefined) {
      lease = holdLease(layout.root);
      holds.leased(lease);
      // What others do from now on is worth seeing.
      db.endView();
      if (closing) return lease;
      collector = runInBackground(collectDead(layout, db));
      // A failure only means that more is verified after a loss of power.
      settlement.settle().catch(() => undefined);
    }
    return lease;
  }
  const writable: StoreLayout = {
    ...layout,
    tempPath(suffix) {
      ownLease();
      return layout.tempPath(suffix);
    },
  };

  const holds = createHolds(layout, db, ownLease);
  const blobs = createBlobs(writable, db, settlement, holds);
  const newId = createLayerIds(db, ownLease);
  const layers = createLayers(writable, db, settlement, newId, (digest) => blobs.hasBlob(digest), holds);
  const contexts = createContexts(db);
  const flock = createLock({
    pathOf: (name) => layout.lockPath(name),
    beforeRelease() {
      if (closed) return;
      try {
        db.flush();
      } catch (error) {
        // The next to come does not find it and makes it again; what must be written says so itself (`sync`, `close`).
        if (!(error instanceof BuildError) || error.code !== 'disk-full') throw error;
      }
    },
    holder,
    onWait,
  });
  const lock: Store['lock'] = async (name, how) => {
    // Whoever waits for others wants to see what they did meanwhile: a lease ends the view of before.
    ownLease();
    return await flock(name, how);
  };

  return {
    root: layout.root,
    ...blobs,
    filePath: (digest) => layout.filePath(digest),
    hasFile(digest) {
      holds.files();
      return hasSingleFile(layout.filePath(digest), layout.suspectFilePath(digest), digest);
    },
    async createFile() {
      holds.files();
      return createWriter(
        writable.tempPath('.file'),
        (digest) => layout.filePath(digest),
        () => (hasWritten = true),
      );
    },
    ...layers.part,
    ...createDigests(layout),
    ...createRecords(db, () => (project === undefined ? undefined : contexts.idOf(project))),
    ...createBuilds(db),
    ...createImages(db),
    ...createFacts(db),
    ...createStatCaches(writable, contexts),
    cacheDir: (id) => layout.cacheDir(id),
    tempPath: (suffix) => writable.tempPath(suffix),
    lock,
    ...createCollection({ layout, db, ownLease, lock, hasWritten: () => hasWritten }),
    sync: () => db.sync(),
    close() {
      if (closed) return;
      closing = true;
      collector?.stop();
      holds.close();
      try {
        // Before the lease ends, others see all that was made under it.
        db.flush();
      } finally {
        closed = true;
        try {
          layers.discardUnfinished();
          lease?.release();
        } finally {
          db.close();
        }
      }
    },
  };
}

/** One stat and one small read when all is there. */
async function ensureDirectory(layout: StoreLayout): Promise<void> {
  let version = readVersion(layout);
  if (version === undefined) {
    await makeDirectory(layout);
    version = readVersion(layout);
  }
  if (version === undefined || !/^[1-9][0-9]*$/.test(version)) {
    throw new BuildError({
      code: 'store',
      message: `${layout.version} does not hold the version of a state directory`,
      hint: 'choose a directory of slipway, a new one or an empty one with SLIPWAY_ROOT',
    });
  }
  if (Number(version) > FORMAT) throw newerVersion(layout.root, `format ${version}`, FORMAT);
  try {
    accessSync(layout.root, constants.W_OK);
  } catch (error) {
    throw notWritable(layout.root, error);
  }
}

function readVersion(layout: StoreLayout): string | undefined {
  try {
    return readFileSync(layout.version, 'utf8').trim();
  } catch (error) {
    if (errnoOf(error) === 'ENOENT') return undefined;
    throw unusable(layout, error);
  }
}

/** Under a lock, so that of several first processes one makes it. The version comes last: it says that all is there. */
async function makeDirectory(layout: StoreLayout): Promise<void> {
  try {
    mkdirSync(layout.root, { recursive: true, mode: 0o700 });
    refuseForeign(layout);
    mkdirSync(layout.locks, { recursive: true, mode: 0o700 });
  } catch (error) {
    throw unusable(layout, error);
  }
  const fd = openLockFile(`${layout.locks}/init`);
  try {
    await waitFlock(fd, false, undefined);
    if (existsSync(layout.version)) return;
    for (const directory of [
      layout.blobs,
      layout.files,
      layout.layers,
      layout.caches,
      layout.statCaches,
      layout.temp,
    ]) {
      mkdirSync(directory, { recursive: true, mode: 0o700 });
    }
    openDatabase(layout.database, layout.root).close();
    writeFileSync(`${layout.version}.new`, `${FORMAT}\n`);
    renameSync(`${layout.version}.new`, layout.version);
  } catch (error) {
    throw unusable(layout, error);
  } finally {
    closeLockFile(fd);
  }
}

/** What a file system of its own may have, and what another process makes at this moment. */
const HARMLESS: ReadonlySet<string> = new Set(['lost+found', 'code', 'version', 'version.new']);

/** A directory that is somebody else's: nothing may be made in it, as much of what is in it would be removed later. */
function refuseForeign(layout: StoreLayout): void {
  const own = [
    layout.blobs,
    layout.files,
    layout.suspectFiles,
    layout.layers,
    layout.caches,
    layout.statCaches,
    layout.temp,
    layout.locks,
  ];
  const ours = new Set([...own, layout.database].map((path) => relative(layout.root, path).split('/')[0]));
  const foreign = readdirSync(layout.root).find(
    (name) => !ours.has(name) && !HARMLESS.has(name) && !/^db\.sqlite-(wal|shm|journal)$/.test(name),
  );
  if (foreign === undefined) return;
  throw new BuildError({
    code: 'store',
    message: `${layout.root} is no state directory of slipway: it has no file version, but ${foreign}`,
    hint: 'choose a directory of slipway, a new one or an empty one with SLIPWAY_ROOT',
  });
}

function unusable(layout: StoreLayout, error: unknown): BuildError {
  const errno = errnoOf(error);
  if (errno === 'EACCES' || errno === 'EPERM' || errno === 'EROFS') return notWritable(layout.root, error);
  if (errno === 'ENOTDIR' || errno === 'EEXIST') {
    return new BuildError({
      code: 'store',
      message: `the state directory ${layout.root} is not a directory, or lies below a file`,
      hint: 'set SLIPWAY_ROOT to a directory',
      cause: error,
    });
  }
  return asBuildError(error, `make the state directory ${layout.root}`);
}
