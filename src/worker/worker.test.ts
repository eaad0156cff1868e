import { createHash } from 'node:crypto';
import {
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import type { Executor, MaterializeRequest, Snapshot, WorkContext, Worker } from '../contracts/index.ts';
import { vertex } from '../llb/index.ts';
import type { FileActionKind, Vertex } from '../llb/index.ts';
import { createRegistry } from '../registry/index.ts';
import { createSources } from '../source/index.ts';
import type { LocalContext, Sources } from '../source/index.ts';
import { openStore } from '../store/index.ts';
import type { Store } from '../store/index.ts';
import { ensureDirectory } from './ops/directory.ts';
import { copyAction, mkFile } from './testing/actions.ts';
import { describeTree } from './testing/memory-tree.ts';
import { createWorker } from './worker.ts';

let directory: string;
let context: string;
let store: Store;
let contexts: ReadonlyMap<string, LocalContext>;
let sources: Sources;
let worker: Worker;
/** What the executor was asked to make, with the plan's lines. */
let asked: (MaterializeRequest & { plan?: string[] })[];

const { signal } = new AbortController();
const work: WorkContext = { signal, events: () => undefined, location: undefined };
const executor: Executor = {
  exec: async () => ({ exitCode: 0 }),
  materialize: async (request) => {
    const plan = request.kind === 'tree' ? readFileSync(request.planPath, 'utf8').split('\n').slice(0, -1) : undefined;
    asked.push({ ...request, plan });
  },
  close: async () => undefined,
};

const IGNORED = ['*.log', 'secret'];
const local = vertex(
  { kind: 'source', identifier: 'local://context', attrs: { 'local.excludepatterns': JSON.stringify(IGNORED) } },
  [],
);

beforeAll(async () => {
  directory = mkdtempSync(join(tmpdir(), 'slipway-worker-'));
  store = await openStore({ root: join(directory, 'store') });
  context = join(directory, 'context');
  mkdirSync(join(context, 'src/sub'), { recursive: true });
  writeFileSync(join(context, 'src/a.txt'), 'A', { mode: 0o640 });
  writeFileSync(join(context, 'src/sub/b.txt'), 'BB');
  linkSync(join(context, 'src/a.txt'), join(context, 'src/sub/c.txt'));
  symlinkSync('../a.txt', join(context, 'src/sub/l'));
  writeFileSync(join(context, 'src/build.log'), 'noise');
  writeFileSync(join(context, 'debug.log'), 'noise');
  const text = '# what stays out\n*.log\nsecret\n';
  const file = { filename: '.dockerignore', text, language: 'ignore' } as const;
  const lines = [
    { pattern: '*.log', line: 2 },
    { pattern: 'secret', line: 3 },
  ];
  contexts = new Map<string, LocalContext>([['context', { directory: context, ignore: { file, lines } }]]);
  sources = openSources();
  worker = createWorker({ store, sources, executor });
});
afterAll(async () => {
  await sources.close();
  store.close();
  rmSync(directory, { recursive: true });
});
beforeEach(() => {
  asked = [];
});

function openSources(): Sources {
  const registry = createRegistry({ mirrors: new Map(), env: {}, signal });
  return createSources({ store, registry, contexts, events: () => undefined, signal, env: {} });
}

/** A file op on scratch that reads from the context. */
function fileOp(...kinds: readonly FileActionKind[]): Vertex {
  const actions = kinds.map((action, i) => ({
    input: i === 0 ? -1 : i,
    secondaryInput: action.kind === 'copy' ? 0 : -1,
    output: i === kinds.length - 1 ? 0 : -1,
    action,
  }));
  return vertex({ kind: 'file', actions }, [{ vertex: local, index: 0 }]);
}

async function run(op: Vertex): Promise<Snapshot> {
  const [input] = await worker.run(local, [], work);
  const [result] = await worker.run(op, [input!], work);
  return result!;
}

test('a COPY of a context is a tree whose bytes are the user files', async () => {
  const result = await run(fileOp(copyAction('src', '/app/')));
  const [layer] = result.layers;
  const tree = await layer!.tree();
  expect(describeTree(tree)).toEqual([
    'app/ 0755 0:0',
    'app/a.txt file 0640 0:0 1',
    'app/build.log file 0644 0:0 5',
    'app/sub/ 0755 0:0',
    'app/sub/b.txt file 0644 0:0 2',
    'app/sub/c.txt = app/a.txt',
    'app/sub/l -> ../a.txt 0:0',
  ]);
  expect([...(await layer!.locate(['app/sub/b.txt', 'app/sub/c.txt']))]).toEqual([
    { kind: 'context-file', path: join(context, 'src/sub/b.txt') },
    { kind: 'context-file', path: join(context, 'src/a.txt') },
  ]);
  expect(await store.readTree(layer!.id)).toEqual(tree);
  expect(store.layer(layer!.id)).toMatchObject({ hasTree: true, hasDir: false, size: 1 + 5 + 2 });
  expect(asked).toEqual([]);
});

test('keys change with content only', async () => {
  const [input] = await worker.run(local, [], work);
  const op = fileOp(copyAction('src', '/app/'));
  const before = await worker.contentKey(op, 0, input!, work);
  const keyOfNow = async (): Promise<string | undefined> => {
    const later = openSources();
    const other = createWorker({ store, sources: later, executor });
    const [seen] = await other.run(local, [], work);
    const key = await other.contentKey(op, 0, seen!, work);
    await later.close();
    return key;
  };
  utimesSync(join(context, 'src/a.txt'), 1, 1);
  writeFileSync(join(context, 'unrelated'), 'x');
  expect(await keyOfNow()).toBe(before);
  writeFileSync(join(context, 'src/new'), 'x');
  expect(await keyOfNow()).not.toBe(before);
  rmSync(join(context, 'src/new'));
});

function createFreshWorker(): Worker {
  return createWorker({ store, sources, executor });
}

describe('a missing source', () => {
  test.each([
    [
      'debug.log',
      '.dockerignore line 2 excludes it: *.log. Add "!debug.log" below that line to have it in the context.',
    ],
    ['Src', 'There is "src".'],
  ])('%s', async (name, hint) => {
    await expect(run(fileOp(copyAction(name, '/x')))).rejects.toMatchObject({
      code: 'source-missing',
      message: `${JSON.stringify(name)} is not in the build context`,
      hint,
    });
  });

  test('points to the instruction', async () => {
    const text = 'COPY nope /x\n';
    const file = { filename: 'Dockerfile', text, language: 'Dockerfile' } as const;
    const location = { file, ranges: [{ start: { line: 1, column: 0 }, end: { line: 1, column: 12 } }] };
    const [input] = await worker.run(local, [], work);
    const failing = worker.contentKey(fileOp(copyAction('nope', '/x')), 0, input!, { ...work, location });
    await expect(failing).rejects.toMatchObject({ code: 'source-missing', location });
  });
});

describe('opening layers of an earlier build', () => {
  test('in the process that made them their bytes are there', async () => {
    const result = await run(fileOp(copyAction('src', '/app/')));
    const opened = await worker.open(result.layers.map(({ id }) => id));
    expect(opened?.virtual).toBe(false);
    expect(await opened?.snapshot.files.lookup('app/a.txt')).toMatchObject({ type: 'file', size: 1 });
  });

  test('elsewhere a tree alone is virtual, with its digests', async () => {
    const result = await run(fileOp(copyAction('src', '/app/')));
    const opened = await createFreshWorker().open(result.layers.map(({ id }) => id));
    expect(opened?.virtual).toBe(true);
    const digest = `sha256:${createHash('sha256').update('A').digest('hex')}`;
    expect(await opened?.snapshot.files.digests(['app/a.txt'])).toEqual([digest]);
  });

  test('gone is undefined', async () => {
    expect(await worker.open(['zzzz'])).toBeUndefined();
    expect(await worker.open([store.newLayer()])).toBeUndefined();
  });
});

describe('the directory of a layer', () => {
  test('is made from its tree by a plan that says where the bytes are, once', async () => {
    const [layer] = (await run(fileOp(copyAction('src/sub', '/app/'), mkFile('/app/made', 'M')))).layers;
    const deps = { store, sources, executor };
    await Promise.all([ensureDirectory(layer!, deps, signal), ensureDirectory(layer!, deps, signal)]);
    await ensureDirectory(layer!, deps, signal);
    const plan = [
      `app/b.txt\0c${join(context, 'src/sub/b.txt')}`,
      `app/c.txt\0c${join(context, 'src/sub/c.txt')}`,
      'app/made\0bTQ==',
    ];
    expect(asked).toMatchObject([{ kind: 'tree', layer: layer!.id, plan }]);
    expect(store.layer(layer!.id)?.hasDir).toBe(true);
    expect([...(await layer!.locate(['app/made']))]).toEqual([
      { kind: 'file', path: join(store.layerDir(layer!.id), 'app/made') },
    ]);
  });

  test('is made by who waits for it when who began it gave up', async () => {
    const [layer] = (await run(fileOp(mkFile('/shared', 'S')))).layers;
    const first = new AbortController();
    const reason = new Error('another step failed');
    const slow: typeof executor = {
      ...executor,
      materialize: async (_, options) =>
        new Promise((_resolve, reject) => {
          options.signal.addEventListener('abort', () => reject(options.signal.reason as Error));
          first.abort(reason);
        }),
    };
    const began = ensureDirectory(layer!, { store, sources, executor: slow }, first.signal);
    const waits = ensureDirectory(layer!, { store, sources, executor }, signal);
    await expect(began).rejects.toBe(reason);
    await waits;
    expect(store.layer(layer!.id)?.hasDir).toBe(true);
  });
});

test('ops that are not carried out say so', async () => {
  const op = vertex({ kind: 'build', builder: -1, inputs: {}, attrs: {} }, []);
  await expect(worker.run(op, [], work)).rejects.toMatchObject({ code: 'unsupported' });
});
