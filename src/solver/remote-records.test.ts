import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { SolvedRecord } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createEngine } from './engine.ts';
import type { RemoteRecord, RemoteRecords } from './remote-records.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { context, copy, definition, image, out, run } from './testing/graph.ts';

let dir: string;
let disk: FakeDisk;
const stores: Store[] = [];
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slipway-remote-'));
  disk = new FakeDisk();
  disk.context.set('/src/a', '1');
});
afterEach(() => {
  for (const store of stores.splice(0)) store.close();
  rmSync(dir, { recursive: true });
});

/** A machine: a store of its own; layers are on a disk that all of them see. */
async function machine(name: string, remote?: RemoteRecords) {
  const store = await openStore({ root: join(dir, name) });
  stores.push(store);
  const worker = new FakeWorker(disk);
  const engine = createEngine({ store, worker, remote });
  const build = async (target: Vertex) => {
    const solved = await engine.solve(definition(out(target)), {
      signal: new AbortController().signal,
      events: () => undefined,
      noCache: new Set<never>(),
    });
    return { files: [...worker.read(solved.snapshot)], records: await solved.records() };
  };
  return { store, worker, build };
}

/** What the records of one machine are to another. */
function offering(records: readonly SolvedRecord[], change: Partial<RemoteRecord> = {}) {
  const asked: string[] = [];
  const remote: RemoteRecords = {
    async find(key) {
      asked.push(key);
      const record = records.find((item) => [item.definition, item.lookup].includes(key));
      if (record === undefined) return undefined;
      return {
        key: record.key,
        lookup: record.lookup,
        created: record.created,
        inputs: record.inputs.map(({ content, record: whole }) =>
          content === undefined ? { record: whole ?? '' } : { content },
        ),
        outputs: record.snapshots.map(({ layers }) => layers.map(({ id }) => id)),
        ...change,
      };
    },
  };
  return { remote, asked };
}

const stage = () => run(out(copy(out(image('alpine')), out(context()), '/src', '/')), 'compile');
const graph = () => copy(out(image('alpine')), out(stage()), '/out', '/');

test('a machine that knows nothing takes the result by its definition, and asks for nothing below it', async () => {
  const first = await (await machine('a')).build(graph());
  expect(first.records.map(({ kind }) => kind)).toEqual(['file', 'exec', 'file']);
  const { remote, asked } = offering(first.records);
  const second = await machine('b', remote);
  const built = await second.build(graph());
  expect(built.files).toEqual(first.files);
  expect(second.worker.ran).toEqual([]);
  expect(asked[0]).toBe(first.records[2]?.definition);
  // All of it is known now, so that the cache can be written anew from here.
  expect(built.records.map(({ key, lookup, inputs }) => ({ key, lookup, inputs }))).toEqual(
    first.records.map(({ key, lookup, inputs }) => ({ key, lookup, inputs })),
  );
});

test('what was found is kept: the next build asks nobody', async () => {
  const first = await (await machine('a')).build(graph());
  const second = await machine('b', offering(first.records).remote);
  await second.build(graph());
  second.store.close();
  const later = await machine('b');
  await later.build(graph());
  expect(later.worker.ran).toEqual([]);
});

test('another context is another step, whatever the cache holds', async () => {
  const first = await (await machine('a')).build(graph());
  disk.context.set('/src/a', '2');
  const second = await machine('b', offering(first.records).remote);
  expect((await second.build(graph())).files).not.toEqual(first.files);
  expect(second.worker.ran).toEqual(['COPY /src /', 'RUN compile', 'COPY /out /']);
});

test('a stage that is missing from the cache runs, and what reads the same of it is found by content', async () => {
  const same = (name: string) => run(out(run(out(image('alpine')), name)), 'same');
  const target = (name: string) => copy(out(image('alpine')), out(same(name)), '/out/same', '/');
  const first = await (await machine('a')).build(target('one'));
  const { remote } = offering(first.records);
  const second = await machine('b', remote);
  await second.build(target('two'));
  expect(second.worker.ran).toEqual(['RUN two', 'RUN same']);
});

test.each<[string, Partial<RemoteRecord>]>([
  ['whose inputs are not those of the step', { inputs: [] }],
  ['with a layer that is not there', { outputs: [['nowhere']] }],
])('a record %s is not used', async (_, change) => {
  const first = await (await machine('a')).build(stage());
  const second = await machine('b', offering(first.records, change).remote);
  await second.build(stage());
  expect(second.worker.ran).toEqual(['COPY /src /', 'RUN compile']);
});

test('without the cache nothing is asked', async () => {
  const first = await (await machine('a')).build(stage());
  const { remote, asked } = offering(first.records);
  const store = (await machine('c')).store;
  const engine = createEngine({ store, worker: new FakeWorker(disk), remote });
  await engine.solve(definition(out(stage())), {
    signal: new AbortController().signal,
    events: () => undefined,
    noCache: 'all',
  });
  expect(asked).toEqual([]);
});
