/**
 * What a build asks of the kernel, bounded by what it needs: a build that does more than it did is seen here without a
 * clock. Bounds are a third above what is needed, so that only a change of ours passes them.
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLayout } from '../support/base-image.ts';
import { Bench, SLIPWAY } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { systemCalls, type SystemCalls } from '../support/system-calls.ts';

const DIRECTORIES = 10;
/** Too few for threads. */
const FILES = 1000;
/** Of one file. */
const FILE_SIZE = 5000;

const bench = new Bench();
const state = join(bench.dir, 'state');
let registry: TestRegistry;
let empty: SystemCalls;
const env = { PATH: process.env['PATH'], HOME: bench.dir, ...bench.env };
const build = (...args: readonly string[]): SystemCalls =>
  systemCalls([process.execPath, SLIPWAY, 'build', ...args], { cwd: bench.dir, env });

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  const script = join(bench.context('empty', { 'empty.js': '' }), 'empty.js');
  empty = systemCalls([process.execPath, script], { cwd: bench.dir, env });
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

/** A third more than what is needed. */
const some = (needed: number): number => Math.ceil(needed * 1.3);

/** Of the program itself, beyond an empty script: bundle, code, state directory, database, lookups of its paths. */
const PROGRAM = { open: 12, stat: 60 } as const;
/** What the database syncs when it is closed: log, its directory, tables. A batch that has to be durable adds one or two. */
const CLOSE_SYNCS = 4;
/** Manifests, configs and Dockerfiles are small enough to be read where they are needed. */
const DOCUMENT_SIZE = 4096;

/** Files of which more bytes were read than they have. SQLite reads its own by page. */
function readTwice(calls: SystemCalls): readonly string[] {
  return [...calls.bytesRead(bench.dir)].flatMap(([path, bytes]) => {
    const size = statSync(path, { throwIfNoEntry: false })?.size ?? bytes;
    return size > DOCUMENT_SIZE && bytes > size && !path.startsWith(`${state}/db.sqlite`) ? path : [];
  });
}

describe('a context of many files', () => {
  let context: string;
  let files: readonly string[];
  beforeAll(async () => {
    const contents = Array.from(
      { length: FILES },
      (_, i) => [`d${i % DIRECTORIES}/f${i}`, `${i}`.padEnd(FILE_SIZE)] as const,
    );
    context = bench.context('large', {
      ...Object.fromEntries(contents),
      Dockerfile: 'FROM scratch\nCOPY . /all/\n',
      '.dockerignore': 'Dockerfile\n.dockerignore\n',
    });
    files = contents.map(([path]) => join(context, path));
    // Younger than a tick of the kernel's clock, files are looked at again.
    await setTimeout(200);
  });
  const isFile = (path: string): boolean => /\/f\d+$/.test(path);
  /** Looked at once each, but for the root, which paths lead through. */
  const boundedLook = (calls: SystemCalls): void => {
    expect(calls.of('stat', context).length).toBeLessThanOrEqual(FILES + DIRECTORIES + some(25));
    // Each directory until there is no more.
    expect(calls.of('list', context).length).toBeLessThanOrEqual(2 * (DIRECTORIES + 1));
    expect(calls.programs).toEqual([]);
    expect(calls.threads).toBeLessThanOrEqual(empty.threads);
    expect(readTwice(calls)).toEqual([]);
  };

  it('that nobody has seen: every file is opened and read once', () => {
    const calls = build(context);
    expect(calls.paths('open', context).filter(isFile).toSorted()).toEqual(files.toSorted());
    const bytes = [...calls.bytesRead(context)].filter(([path]) => isFile(path));
    expect(bytes.reduce((sum, [, read]) => sum + read, 0)).toBe(FILES * FILE_SIZE);
    // Two looks, open, read, and read of nothing.
    const all = calls.all.filter(({ path }) => isFile(path) && path.startsWith(context));
    expect(all.length).toBeLessThanOrEqual(5 * FILES);
    expect(calls.programs).toEqual([]);
  });

  it('unchanged: no file is opened, each looked at once, nothing else done', () => {
    const calls = build(context);
    boundedLook(calls);
    expect(calls.paths('open', context).filter(isFile)).toEqual([]);
    const opened = calls.of('open').length - empty.of('open').length;
    // Directories, Dockerfile and .dockerignore.
    expect(opened).toBeLessThanOrEqual(DIRECTORIES + 3 + some(PROGRAM.open));
    const looked = calls.of('stat').length - empty.of('stat').length;
    expect(looked).toBeLessThanOrEqual(FILES + DIRECTORIES + some(PROGRAM.stat));
    // The row of the build, and the log put back into the database.
    expect(calls.of('sync').length).toBeLessThanOrEqual(CLOSE_SYNCS);
    expect(calls.of('change').length).toBeLessThanOrEqual(some(2));
    const [database = 0] = [...calls.bytesRead(join(state, 'db.sqlite')).values()];
    expect(database).toBeLessThanOrEqual(some(80_000));
  });

  it('with one file changed: that file is read, once', () => {
    const changed = join(context, 'd7/f7');
    writeFileSync(changed, 'changed'.padEnd(FILE_SIZE));
    const calls = build(context);
    boundedLook(calls);
    expect(calls.paths('open', context).filter(isFile)).toEqual([changed]);
    expect(calls.bytesRead(changed).get(changed)).toBe(FILE_SIZE);
    expect(calls.of('sync').length).toBeLessThanOrEqual(some(CLOSE_SYNCS + 3));
    expect(calls.of('change').length).toBeLessThanOrEqual(some(11));
  });
});

describe('an image of which one file is copied', () => {
  let context: string;
  beforeAll(() => {
    const tars = ['bottom', 'middle', 'top'].map((name) => {
      const root = join(bench.dir, name);
      mkdirSync(join(root, name), { recursive: true });
      writeFileSync(join(root, name, 'file'), randomBytes(300_000));
      writeFileSync(join(root, name, 'noise'), randomBytes(1 << 20));
      return execFileSync('tar', ['-C', root, '-cf', '-', '.'], { maxBuffer: 8 << 20 });
    });
    registry.push(`${writeLayout(join(bench.dir, 'layers'), tars, {})}:latest`, 'layers:latest');
    const image = `${registry.host}/library/layers:latest`;
    context = bench.context('lazy', { Dockerfile: `FROM scratch\nCOPY --from=${image} /top/file /file\n` });
  });
  const output = (): readonly string[] => ['-o', `type=oci,dest=${join(bench.dir, 'out.tar')}`, context];
  /** Bytes of blobs, by size of what was read. */
  const largeReads = (calls: SystemCalls): readonly number[] =>
    [...calls.bytesRead(join(state, 'blobs')).values()].filter((bytes) => bytes > DOCUMENT_SIZE);
  /** For requests and files: the pool of Node. */
  const POOL = 4;

  it('is read while it comes, and not from the disk again', () => {
    const calls = build(context);
    expect(largeReads(calls)).toEqual([]);
    expect(readTwice(calls)).toEqual([]);
    expect(calls.programs).toEqual([]);
    // And one that reads layers.
    expect(calls.threads).toBeLessThanOrEqual(empty.threads + POOL + 1);
    expect(calls.of('sync').length).toBeLessThanOrEqual(some(CLOSE_SYNCS + 3));
  });

  it('again: no layer is touched, no thread started', () => {
    const calls = build(context);
    expect(largeReads(calls)).toEqual([]);
    expect(calls.of('open', state).length).toBeLessThanOrEqual(some(10));
    expect(calls.of('stat', state).length).toBeLessThanOrEqual(some(24));
    expect(calls.threads).toBeLessThanOrEqual(empty.threads);
    expect(calls.of('sync').length).toBeLessThanOrEqual(CLOSE_SYNCS);
  });

  it('exported: the layer gives up its file once; exported again, only what is written is read', () => {
    const first = build(...output());
    expect(readTwice(first)).toEqual([]);
    expect(largeReads(first)).toHaveLength(2);
    const again = build(...output());
    expect(readTwice(again)).toEqual([]);
    expect(largeReads(again)).toHaveLength(1);
    expect(again.programs).toEqual([]);
  });
});

describe('a chain of stages', () => {
  /** Opens, looks and changes; the database reads by page what it has room for. */
  const work = (stages: number): number => {
    const lines = Array.from({ length: stages }, (_, i) => `FROM s${i} AS s${i + 1}\nCOPY file /${stages}-${i}\n`);
    const Dockerfile = `FROM scratch AS s0\n${lines.join('')}`;
    const calls = build(bench.context(`chain-${stages}`, { file: 'file', Dockerfile }));
    expect(calls.of('sync').length).toBeLessThanOrEqual(some(CLOSE_SYNCS + 3 + stages / 20));
    // Each vertex has a lock of its own; a new file that is truncated is written to the disk when it is closed.
    const locks = calls.of('open', join(state, 'locks'));
    expect(locks.length).toBeGreaterThanOrEqual(stages);
    expect(locks.filter(({ text }) => text.includes('O_TRUNC'))).toEqual([]);
    expect(calls.of('truncate', join(state, 'locks'))).toEqual([]);
    return (['open', 'stat', 'list', 'change'] as const).reduce((sum, kind) => sum + calls.of(kind).length, 0);
  };

  it('costs the same for each, however many there are', () => {
    const [none, some40, all80] = [work(1), work(40), work(80)];
    const [early, late] = [(some40 - none) / 39, (all80 - some40) / 40];
    // The source, the tree, the lock; their names, and what is there of them.
    expect(late).toBeLessThanOrEqual(some(12));
    expect(late).toBeLessThanOrEqual(1.1 * early);
  });
});
