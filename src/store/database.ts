/**
 * The SQLite database: opened in a millisecond, read directly, written in batches. Writes wait in memory, where their
 * owners still see them, and go to disk together: after half a second, before a lock is released (so that whoever
 * waited for it finds them), at `sync` and at `close`. A crash loses at most the last batch, which is cache.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import type { DatabaseSync, SQLInputValue, StatementSync } from 'node:sqlite';
import { BuildError } from '../contracts/index.ts';
import { MIGRATIONS, SCHEMA_VERSION } from './schema.ts';

export type Value = SQLInputValue;
export type Row = Readonly<Record<string, unknown>>;

/** Milliseconds from the first waiting write to the batch. */
const BATCH_DELAY = 500;
/** How long another process may hold the write lock, milliseconds: batches take a few. */
const BUSY_TIMEOUT = 10_000;
/** The same for batches on a timer, which can come again. */
const BUSY_TIMEOUT_TIMER = 20;

export interface Database {
  get(sql: string, ...values: readonly Value[]): Row | undefined;
  all(sql: string, ...values: readonly Value[]): readonly Row[];
  /** A write for the next batch. In it `:seq` is the batch's number, if the statement has it. */
  write(sql: string, values: Readonly<Record<string, Value>>): void;
  /** A write that can be lost without harm: it waits for a batch that happens anyway, or for `close`. */
  writeLater(sql: string, values: Readonly<Record<string, Value>>): void;
  /** Called after each batch: what owners kept in memory is on disk now. */
  onFlushed(listener: () => void): void;
  /** Writes the batch, visible to other processes from here on. */
  flush(): void;
  /** The same, and durable: it survives a loss of power. */
  sync(): void;
  /** Runs `body` in a transaction of its own, now. */
  transaction<T>(body: () => T): T;
  /**
   * From here to the first write, all reads see the database as it is now, and a collector waits for the end of that
   * (`holds.ts`). No other process waits.
   *
   * @param beforeEnd Called before the view ends because of a write.
   */
  beginView(beforeEnd: () => void): void;
  /** Ends the view as a write would. */
  endView(): void;
  /**
   * Whether no process sees the database any more as it was before the last commit of this one's at the time of the
   * first call; may be asked again until it is so.
   */
  viewsPassed(): () => boolean;
  close(): void;
}

interface PendingWrite {
  readonly sql: string;
  readonly values: Readonly<Record<string, Value>>;
}

/**
 * @param path The database file; made with its tables when it is not there.
 * @param root For messages.
 * Errors: `store` when the file is damaged or of a newer version, `permission`, `disk-full`.
 */
export function openDatabase(path: string, root: string): Database {
  const guard = <T>(body: () => T): T => {
    try {
      return body();
    } catch (error) {
      throw databaseError(error, path, root);
    }
  };

  const db = guard(() => {
    const opened = new (loadSqlite().DatabaseSync)(path);
    opened.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT}; PRAGMA synchronous=NORMAL`);
    return opened;
  });
  const statements = new Map<string, StatementSync>();
  let pending: PendingWrite[] = [];
  let later: PendingWrite[] = [];
  let timer: NodeJS.Timeout | undefined;
  let flushed: (() => void)[] = [];
  let unsynced = false;
  /** What is to be done before the view ends, while there is one. */
  let view: (() => void) | undefined;

  function prepare(sql: string): StatementSync {
    let statement = statements.get(sql);
    if (statement === undefined) {
      statement = db.prepare(sql);
      statement.setAllowUnknownNamedParameters(true);
      statements.set(sql, statement);
    }
    return statement;
  }

  function beginView(beforeEnd: () => void): void {
    if (view !== undefined) return;
    db.exec('BEGIN');
    // The first read makes the view.
    prepare('PRAGMA schema_version').get();
    view = beforeEnd;
  }

  function endView(): void {
    const beforeEnd = view;
    if (beforeEnd === undefined) return;
    view = undefined;
    try {
      beforeEnd();
    } catch (error) {
      view = beforeEnd;
      throw error;
    }
    db.exec('COMMIT');
  }

  /**
   * A checkpoint copies the log up to what the oldest view has not seen (sqlite.org/wal.html): once it has copied all up
   * to our commit, none is older than that. A log that is shorter than before was begun anew, for the same reason.
   */
  function viewsPassed(): () => boolean {
    endView();
    let target: number | undefined;
    return () =>
      guard(() => {
        const { busy, log, checkpointed } = prepare('PRAGMA wal_checkpoint(PASSIVE)').get() ?? {};
        // Another process copies at this moment.
        if (busy !== 0 || Number(log) < 0) return false;
        target ??= Number(log);
        return Number(checkpointed) >= target || Number(log) < target;
      });
  }

  function transaction<T>(body: () => T): T {
    endView();
    db.exec('BEGIN IMMEDIATE');
    try {
      const result = body();
      db.exec('COMMIT');
      return result;
    } catch (error) {
      if (db.isTransaction) db.exec('ROLLBACK');
      throw error;
    }
  }

  function writeBatch(): void {
    if (timer !== undefined) clearTimeout(timer);
    timer = undefined;
    if (pending.length === 0) return;
    transaction(() => {
      const seq = prepare(NEXT_SEQ).get()?.['value'];
      for (const write of pending) prepare(write.sql).run({ ...write.values, seq: seq as Value });
      for (const write of later) prepare(write.sql).run(write.values);
    });
    pending = [];
    later = [];
    unsynced = true;
    for (const listener of flushed) listener();
  }

  function onTimer(): void {
    timer = undefined;
    try {
      endView();
      db.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT_TIMER}`);
      writeBatch();
    } catch {
      // Busy, or a failure that the next flush, sync or close meets again where it can be told.
      startTimer();
    } finally {
      db.exec(`PRAGMA busy_timeout=${BUSY_TIMEOUT}`);
    }
  }

  function startTimer(): void {
    timer ??= setTimeout(onTimer, BATCH_DELAY).unref();
  }

  function sync(): void {
    if (pending.length === 0 && !unsynced) return;
    // Inside a view nothing can be said about durability.
    endView();
    // One durable commit makes all before it durable, as they share the log.
    if (pending.length === 0) pending.push({ sql: TOUCH_SEQ, values: {} });
    db.exec('PRAGMA synchronous=FULL');
    try {
      writeBatch();
      unsynced = false;
    } finally {
      db.exec('PRAGMA synchronous=NORMAL');
    }
  }

  try {
    guard(() => ensureSchema(db, transaction, path, root));
  } catch (error) {
    db.close();
    throw error;
  }

  return {
    get: (sql, ...values) => guard(() => prepare(sql).get(...values)),
    all: (sql, ...values) => guard(() => prepare(sql).all(...values)),
    write(sql, values) {
      pending.push({ sql, values });
      startTimer();
    },
    writeLater(sql, values) {
      later.push({ sql, values });
    },
    onFlushed(listener) {
      flushed = [...flushed, listener];
    },
    flush: () => guard(writeBatch),
    sync: () => guard(sync),
    transaction: (body) => guard(() => transaction(body)),
    beginView: (beforeEnd) => guard(() => beginView(beforeEnd)),
    endView: () => guard(endView),
    viewsPassed: () => guard(viewsPassed),
    close() {
      if (!db.isOpen) return;
      try {
        guard(() => {
          // What was seen is not needed any more, unless it is about to be referred to.
          if (pending.length === 0 && view !== undefined) {
            view = undefined;
            db.exec('COMMIT');
          }
          sync();
          if (later.length > 0) {
            transaction(() => {
              for (const write of later) prepare(write.sql).run(write.values);
            });
          }
        });
      } finally {
        if (timer !== undefined) clearTimeout(timer);
        db.close();
      }
    },
  };
}

const NEXT_SEQ = `UPDATE meta SET value = value + 1 WHERE key = 'seq' RETURNING value`;
const TOUCH_SEQ = `UPDATE meta SET value = value WHERE key = 'seq'`;

function ensureSchema(db: DatabaseSync, transaction: <T>(body: () => T) => T, path: string, root: string): void {
  const version = (): number => Number(db.prepare('PRAGMA user_version').get()?.['user_version']);
  const found = version();
  if (found === SCHEMA_VERSION) return;
  if (found > SCHEMA_VERSION) throw newerVersion(root, `tables of version ${found}`, SCHEMA_VERSION);
  if (found > 0) keepCopy(db, `${path}.v${found}`);
  db.exec('PRAGMA journal_mode=WAL');
  transaction(() => {
    for (const step of MIGRATIONS.slice(version())) db.exec(step);
    db.exec(`PRAGMA user_version=${SCHEMA_VERSION}`);
  });
}

/** The database as it was before its tables are changed: whoever has to go back to an older slipway can. */
function keepCopy(db: DatabaseSync, path: string): void {
  if (existsSync(path)) return;
  const temporary = `${path}.${process.pid}`;
  rmSync(temporary, { force: true });
  db.prepare('VACUUM INTO ?').run(temporary);
  renameSync(temporary, path);
}

/**
 * The state directory was written by a newer slipway.
 *
 * @param found What it has.
 * @param known The newest version of that which this slipway can use.
 */
export function newerVersion(root: string, found: string, known: number): BuildError {
  return new BuildError({
    code: 'store',
    message: `the state directory ${root} was written by a newer version of slipway: it has ${found}, this one knows ${known}`,
    hint: 'use that version, or another state directory (SLIPWAY_ROOT)',
  });
}

interface Sqlite {
  readonly DatabaseSync: typeof DatabaseSync;
}
let sqlite: Sqlite | undefined;

/** Node 22 warns that `node:sqlite` is experimental each time it is loaded; that is our decision, not the user's. */
function loadSqlite(): Sqlite {
  if (sqlite !== undefined) return sqlite;
  const original = process.emitWarning.bind(process);
  process.emitWarning = (warning: string | Error, ...rest: unknown[]) => {
    if (!String(warning).includes('SQLite')) Reflect.apply(original, process, [warning, ...rest]);
  };
  try {
    sqlite = process.getBuiltinModule('node:sqlite');
  } finally {
    process.emitWarning = original;
  }
  return sqlite;
}

/** Primary result codes of SQLite (sqlite.org/rescode.html). */
const BUSY = 5;
const LOCKED = 6;
const READONLY = 8;
const IOERR = 10;
const CORRUPT = 11;
const FULL = 13;
const CANTOPEN = 14;
const NOTADB = 26;

function databaseError(error: unknown, path: string, root: string): unknown {
  if (!(error instanceof Error) || !('errcode' in error) || typeof error.errcode !== 'number') return error;
  const cause = error;
  switch (error.errcode & 0xff) {
    case BUSY:
    case LOCKED:
      return new BuildError({
        code: 'store',
        message: `another process has kept the database locked for ${BUSY_TIMEOUT / 1000} seconds: ${path}`,
        hint: 'find and end the process that has it open (fuser), then try again',
        cause,
      });
    case FULL:
      return new BuildError({
        code: 'disk-full',
        message: `no space left for the database ${path}`,
        hint: 'free some space there, or choose another place with SLIPWAY_ROOT',
        cause,
      });
    case READONLY:
    case CANTOPEN:
      return notWritable(root, cause);
    case CORRUPT:
    case NOTADB:
      return new BuildError({
        code: 'store',
        message: `the database ${path} is damaged (${error.message})`,
        hint: `remove ${root} and build again: it holds caches and the images of the local store`,
        cause,
      });
    case IOERR:
      return new BuildError({
        code: 'store',
        message: `the database ${path} cannot be read or written (${error.message})`,
        hint: 'check the disk and the free space',
        cause,
      });
    default:
      return new BuildError({ code: 'store', message: `the database ${path} failed: ${error.message}`, cause });
  }
}

/** The user may not write to the state directory. */
export function notWritable(root: string, cause: unknown): BuildError {
  return new BuildError({
    code: 'permission',
    message: `the state directory ${root} is not writable`,
    hint: 'set SLIPWAY_ROOT to a directory that you may write to, or run as the user who owns it',
    cause,
  });
}
