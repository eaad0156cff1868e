import { setImmediate, setTimeout } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { BuildError, type BuildEvent, type SolveOptions, type SolveResult } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { createEngine } from './engine.ts';
import { FakeStore } from './testing/fake-store.ts';
import { FakeDisk, FakeWorker } from './testing/fake-worker.ts';
import { context, copy, definition, git, image, merge, out, run, write } from './testing/graph.ts';

/** One state directory; each `build` is a new process on it. */
function setUp() {
  const disk = new FakeDisk();
  const store = new FakeStore();
  const build = async (target: Vertex, options: Partial<SolveOptions> = {}, worker = new FakeWorker(disk)) => {
    const events: BuildEvent[] = [];
    const engine = createEngine({ store: store.store, worker });
    const result = await engine.solve(definition(out(target)), {
      signal: new AbortController().signal,
      events: (event) => events.push(event),
      noCache: new Set(),
      ...options,
    });
    return { result, events, worker, ran: worker.ran, files: contents(worker, result) };
  };
  return { disk, store, build };
}

function contents(worker: FakeWorker, { snapshot }: SolveResult): Record<string, string> {
  return Object.fromEntries(worker.read(snapshot));
}

/** A two-stage build: a program is compiled from the context, one file of it is copied into another image. */
function twoStages({ command = 'same build', base = 'golang' } = {}) {
  const built = run(out(copy(out(image(base)), out(context()), '/src', '/work')), command);
  return copy(out(image('alpine')), out(built), `/out/${command.replaceAll(' ', '-')}`, '/bin');
}

test('runs what is needed, inputs first, and nothing the second time', async () => {
  const { disk, build } = setUp();
  disk.context.set('/src/main.go', 'package main');
  const target = twoStages();
  const first = await build(target);
  expect(first.ran).toEqual(['COPY /src /work', 'RUN same build', 'COPY /out/same-build /bin']);
  const second = await build(target);
  expect(second.ran).toEqual([]);
  expect(second.files).toEqual(first.files);
  expect(Object.keys(second.files).sort()).toEqual(['/bin/same-build', '/etc/base']);
});

test('does not run what a definition holds beyond its result', async () => {
  const target = write(undefined, '/a', 'a');
  const beside = run(out(image('alpine')), 'fail');
  const { vertices, result } = definition(out(target));
  const worker = new FakeWorker(new FakeDisk());
  await createEngine({ store: new FakeStore().store, worker }).solve(
    { result, vertices: [beside, ...vertices] },
    { signal: new AbortController().signal, events: () => undefined, noCache: new Set() },
  );
  expect(worker.ran).toEqual(['WRITE /a']);
});

test('a hit on the result touches nothing below it', async () => {
  const { disk, build } = setUp();
  disk.context.set('/src/main.go', 'package main');
  await build(twoStages());
  const { worker, events } = await build(twoStages());
  // Only the edges from the context are digested.
  expect(worker.asked).toEqual(['COPY /src /work 1']);
  const cached = events.filter((event) => event.type === 'vertex' && event.cached === true);
  expect(cached).toHaveLength(5);
});

/** What was said of vertices, in order; announcements aside. */
function story(events: readonly BuildEvent[]): string[] {
  return events.flatMap((event) => {
    if (event.type !== 'vertex' || event.started === undefined) return [];
    const { name, cached, completed, error } = event;
    return [`${name} ${error ?? (cached === true ? 'CACHED' : completed === undefined ? 'started' : 'DONE')}`];
  });
}

test('progress hears of what runs and what was found, not of what was looked for', async () => {
  const { disk, build } = setUp();
  disk.context.set('/src/main.go', 'package main');
  const chain = (command: string) => run(out(copy(out(image('alpine')), out(context()), '/src', '/work')), command);
  const first = await build(chain('a'));
  const [base, load, copied, ran] = [
    'docker-image://docker.io/library/alpine',
    '[internal] load build context',
    'COPY /src /work',
    'RUN a',
  ];
  const announced = first.events.slice(0, 4).map((event) => event.type === 'vertex' && [event.name, event.started]);
  expect(announced).toEqual([base, load, copied, ran].map((name) => [name, undefined]));
  const flow = (name: string) => [`${name} started`, `${name} DONE`];
  expect(story(first.events)).toEqual([...flow(load), ...flow(base), ...flow(copied), ...flow(ran)]);

  const second = await build(chain('a'));
  expect(story(second.events)).toEqual([...flow(load), `${base} CACHED`, `${copied} CACHED`, `${ran} CACHED`]);

  const third = await build(chain('b'));
  expect(story(third.events)).toEqual([...flow(load), `${base} CACHED`, `${copied} CACHED`, ...flow('RUN b')]);
});

test('a changed context file runs what reads it, and stops where bytes are the same again', async () => {
  const { disk, build } = setUp();
  disk.context.set('/src/main.go', 'package main');
  await build(twoStages());
  disk.context.set('/src/main.go', 'package main // comment');
  const second = await build(twoStages());
  expect(second.ran).toEqual(['COPY /src /work', 'RUN same build']);
  disk.context.set('/src/main.go', 'package main // another');
  disk.context.set('/unrelated', 'x');
  expect((await build(twoStages())).ran).toEqual(['COPY /src /work', 'RUN same build']);
  disk.context.set('/unrelated', 'y');
  expect((await build(twoStages())).ran).toEqual([]);
});

test('what runs on top of a copy from an equal stage stays cached too', async () => {
  const { build } = setUp();
  const chain = (base: string) =>
    run(out(copy(out(image('alpine')), out(run(out(image(base)), 'same build')), '/out/same-build', '/bin')), 'test');
  const first = await build(chain('golang:1'));
  const second = await build(chain('golang:2'));
  expect(second.ran).toEqual(['RUN same build']);
  expect(second.files).toEqual(first.files);
});

test('the parent of a copied file may be renamed', async () => {
  const { build } = setUp();
  const from = (parent: string) =>
    copy(undefined, out(write(undefined, `${parent}/app`, 'x')), `${parent}/app`, '/bin');
  await build(from('/old'));
  expect((await build(from('/new'))).ran).toEqual(['WRITE /new/app']);
});

test('images are what their layers are, not what they are called', async () => {
  const { disk, build } = setUp();
  const [a, b] = ['docker-image://docker.io/library/a', 'docker-image://docker.io/library/b'];
  disk.images.set(a, 'layers 1').set(b, 'layers 1');
  await build(run(out(image('a')), 'x'));
  expect((await build(run(out(image('b')), 'x'))).ran).toEqual([]);
  disk.images.set(b, 'layers 2');
  expect((await build(run(out(image('b')), 'x'))).ran).toEqual(['RUN x']);
});

test('independent steps run at the same time, identical ones once', async () => {
  const { disk, build } = setUp();
  const worker = new FakeWorker(disk);
  worker.during = async () => setTimeout(5);
  const steps = Array.from({ length: 20 }, (_, i) => out(run(out(image('alpine')), `step ${i}`)));
  // The same command on an image with another name but the same layers.
  disk.images
    .set('docker-image://docker.io/library/alpine', 'same')
    .set('docker-image://docker.io/library/twin', 'same');
  await build(merge(...steps, out(run(out(image('twin')), 'step 3'))), {}, worker);
  expect(worker.mostRunning).toBe(20);
  expect(worker.ran.filter((name) => name === 'RUN step 3')).toHaveLength(1);
});

test('maxParallelRuns bounds commands, not file work', async () => {
  const { disk, build } = setUp();
  const worker = new FakeWorker(disk);
  let running = 0;
  let most = 0;
  worker.during = async (vertex) => {
    if (vertex.op.kind !== 'exec') return;
    most = Math.max(most, ++running);
    await setTimeout(2);
    running--;
  };
  const runs = Array.from({ length: 9 }, (_, i) => out(run(out(image('alpine')), `step ${i}`)));
  await build(merge(...runs), { maxParallelRuns: 2 }, worker);
  expect(most).toBe(2);
});

test('--no-cache runs everything anew, and what was there before is forgotten', async () => {
  const { build } = setUp();
  const target = run(out(run(out(image('alpine')), 'random a')), 'b');
  const first = await build(target);
  const second = await build(target, { noCache: 'all' });
  expect(second.ran).toEqual(['RUN random a', 'RUN b']);
  expect(second.files).not.toEqual(first.files);
  const third = await build(target);
  expect(third.ran).toEqual([]);
  expect(third.files).toEqual(second.files);
});

test('a step without cache reaches what is built on it, and spares what reads equal files of it', async () => {
  const { build } = setUp();
  const top = image('alpine');
  const random = run(out(top), 'random a');
  const onTop = run(out(random), 'b');
  const reads = copy(undefined, out(random), '/etc/base', '/x');
  const target = merge(out(onTop), out(reads));
  await build(target);
  const second = await build(target, { noCache: new Set([random.digest]) });
  expect(second.ran.sort()).toEqual(['RUN b', 'RUN random a', 'merge']);
  expect((await build(target)).ran).toEqual([]);
});

test('metadata.ignoreCache does the same', async () => {
  const { build } = setUp();
  const target = run(out(image('alpine')), 'a', { metadata: { ignoreCache: true } });
  await build(target);
  expect((await build(target)).ran).toEqual(['RUN a']);
});

test('a result whose layers are gone is made again', async () => {
  const { disk, build } = setUp();
  const target = run(out(run(out(image('alpine')), 'a')), 'b');
  const { result } = await build(target);
  const gone = result.snapshot.layers.at(-1)!.id;
  disk.layers.delete(gone);
  expect((await build(target)).ran).toEqual(['RUN b']);
  expect((await build(target)).ran).toEqual([]);
});

test('bytes come back by running file ops again, without a word', async () => {
  const { disk, build } = setUp();
  disk.context.set('/a', '1').set('/b', '2');
  const a = copy(out(image('alpine')), out(context()), '/a', '/x');
  const b = copy(out(a), out(context()), '/b', '/x');
  const { result } = await build(b);
  for (const { id } of result.snapshot.layers.slice(1)) disk.bytes.delete(id);

  // Trees suffice for keys and reports ...
  expect((await build(b, { treesOnly: true })).ran).toEqual([]);
  // ... a command needs bytes.
  const next = await build(run(out(b), 'ls'));
  expect(next.ran).toEqual(['COPY /a /x', 'COPY /b /x', 'RUN ls']);
  const restarted = next.events.filter(
    (event) => event.type === 'vertex' && event.name.startsWith('COPY') && event.started !== event.completed,
  );
  expect(restarted).toEqual([]);
  expect(next.result.vertices.filter(({ cached }) => cached)).toHaveLength(2);
  // The record names the layers that have their bytes.
  expect((await build(b)).ran).toEqual([]);
});

test('the result of a build has its bytes', async () => {
  const { disk, build } = setUp();
  disk.context.set('/a', '1');
  const target = copy(undefined, out(context()), '/a', '/x');
  const { result } = await build(target);
  disk.bytes.delete(result.snapshot.layers[0]!.id);
  const again = await build(target);
  expect(again.ran).toEqual(['COPY /a /x']);
  expect(again.result.vertices.find(({ digest }) => digest === target.digest)?.cached).toBe(true);
});

test('a command whose bytes are gone and that comes out differently is keyed anew', async () => {
  const { disk, build } = setUp();
  const random = run(out(image('alpine')), 'random a');
  const first = await build(random);
  const lost = first.result.snapshot.layers.at(-1)!.id;
  const target = copy(undefined, out(random), '/out/random-a', '/x');
  disk.bytes.delete(lost);
  const second = await build(target);
  expect(second.ran).toEqual(['RUN random a', 'COPY /out/random-a /x']);
  expect(Object.values(second.files)[0]).not.toBe(first.files['/out/random-a']);
  expect((await build(target)).ran).toEqual([]);
  // What was copied is not taken for what the lost bytes would have given.
  const old = write(undefined, '/out/random-a', first.files['/out/random-a']!);
  const { files } = await build(copy(undefined, out(old), '/out/random-a', '/x'));
  expect(Object.values(files)).toEqual([first.files['/out/random-a']]);
});

test('the first error stops all others, points to its step, and waits for all to end', async () => {
  const { disk, store, build } = setUp();
  const worker = new FakeWorker(disk);
  const location = {
    file: { filename: 'Dockerfile', text: 'RUN fail', language: 'Dockerfile' as const },
    ranges: [{ start: { line: 1, column: 0 }, end: { line: 1, column: 8 } }],
  };
  const slow = run(out(image('alpine')), 'wait');
  const bad = run(out(image('alpine')), 'fail now', { metadata: { location } });
  const events: BuildEvent[] = [];
  const error = await build(
    run(out(merge(out(slow), out(bad))), 'never'),
    { events: (e) => events.push(e) },
    worker,
  ).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  expect(error).toBeInstanceOf(BuildError);
  expect(error).toMatchObject({ code: 'run-failed', message: 'fail now failed', location, exitCode: 1 });
  expect(worker.running).toBe(0);
  expect(worker.ran).not.toContain('RUN never');
  expect(store.locks.size).toBe(0);
  const errors = events.flatMap((e) => (e.type === 'vertex' && e.error !== undefined ? [[e.name, e.error]] : []));
  expect(Object.fromEntries(errors)).toEqual({ 'RUN fail now': 'fail now failed', 'RUN wait': 'context canceled' });
});

test('a missing source fails before anything runs', async () => {
  const { build } = setUp();
  const target = merge(out(run(out(image('alpine')), 'long')), out(copy(undefined, out(context()), '/nowhere', '/')));
  const worker = new FakeWorker(new FakeDisk());
  await expect(build(target, {}, worker)).rejects.toMatchObject({ code: 'source-missing' });
  expect(worker.ran).toEqual([]);
});

test.each([0, 1, 5])('is cancelled from outside (after %i turns)', async (turns) => {
  const { disk, store, build } = setUp();
  const controller = new AbortController();
  const worker = new FakeWorker(disk);
  const steps = Array.from({ length: 5 }, (_, i) => out(run(out(image('alpine')), `wait ${i}`)));
  const done = build(merge(...steps), { signal: controller.signal, maxParallelRuns: 3 }, worker);
  const expected = expect(done).rejects.toMatchObject({ code: 'cancelled' });
  for (let i = 0; i < turns; i++) await setImmediate();
  controller.abort();
  await expected;
  expect(worker.running).toBe(0);
  expect(store.locks.size).toBe(0);
});

test('is not begun when cancelled before', async () => {
  const { build } = setUp();
  const worker = new FakeWorker(new FakeDisk());
  await expect(build(image('alpine'), { signal: AbortSignal.abort() }, worker)).rejects.toMatchObject({
    code: 'cancelled',
  });
});

test('a failed step of one build is tried again by another that waited for it', async () => {
  const { disk, store } = setUp();
  const worker = new FakeWorker(disk);
  const engine = createEngine({ store: store.store, worker });
  const controller = new AbortController();
  const target = run(out(image('alpine')), 'a');
  let started = 0;
  worker.during = async (vertex, { signal }) => {
    if (vertex.op.kind === 'exec' && started++ === 0) await setTimeout(1000, undefined, { signal });
  };
  const options = { events: () => undefined, noCache: new Set<never>() };
  const first = engine.solve(definition(out(target)), { ...options, signal: controller.signal });
  const second = engine.solve(definition(out(target)), { ...options, signal: new AbortController().signal });
  const firstFails = expect(first).rejects.toMatchObject({ code: 'cancelled' });
  while (started === 0) await setImmediate();
  controller.abort();
  await firstFails;
  const { snapshot } = await second;
  expect([...worker.read(snapshot).keys()]).toContain('/out/a');
  expect(started).toBe(2);
});

test('two processes on one store do work once', async () => {
  const { disk, build } = setUp();
  const target = run(out(run(out(image('alpine')), 'a')), 'b');
  const workers = [new FakeWorker(disk), new FakeWorker(disk)] as const;
  for (const worker of workers) worker.during = async () => setTimeout(5);
  const [one, two] = await Promise.all(workers.map((worker) => build(target, {}, worker)));
  expect([...workers[0].ran, ...workers[1].ran].sort()).toEqual(['RUN a', 'RUN b']);
  expect(one!.files).toEqual(two!.files);
});

test('other sources are found by what they are', async () => {
  const { disk, build } = setUp();
  disk.images.set('git://example.com/x#main', 'commit 1').set('git://example.com/x#v1', 'commit 1');
  await build(run(out(git('example.com/x#main')), 'a'));
  expect((await build(run(out(git('example.com/x#v1', { 'git.authtokensecret': 'T' })), 'a'))).ran).toEqual([]);
  expect((await build(run(out(git('example.com/x#v1', { 'git.keepgitdir': 'true' })), 'a'))).ran).toEqual(['RUN a']);
});

test('scratch is an image without layers', async () => {
  const worker = new FakeWorker(new FakeDisk());
  const engine = createEngine({ store: new FakeStore().store, worker });
  const { snapshot } = await engine.solve(
    { result: undefined, vertices: [] },
    { signal: new AbortController().signal, events: () => undefined, noCache: 'all' },
  );
  expect(snapshot.layers).toEqual([]);
});

test('peek shows stages, also those that a cached build did not touch', async () => {
  const { disk, build } = setUp();
  disk.context.set('/src/main.go', 'package main');
  const target = twoStages();
  const [, stage] = target.inputs;
  await build(target);
  const { result, worker } = await build(target);
  const snapshot = await result.peek({ vertex: stage!.vertex.digest, index: 0 });
  expect(Object.keys(Object.fromEntries(worker.read(snapshot!))).sort()).toEqual([
    '/etc/base',
    '/out/same-build',
    '/work/src/main.go',
  ]);
  expect(await result.peek({ vertex: 'sha256:0', index: 0 })).toBeUndefined();
});

test('records say what a step was made of', async () => {
  const { store, build } = setUp();
  const target = run(out(image('alpine')), 'a', { from: out(write(undefined, '/lib/x', '1')), selector: '/lib' });
  const { result } = await build(target);
  const { key } = result.vertices.find(({ digest }) => digest === target.digest)!;
  const record = store.findRecord(key)!;
  expect(record.description).toBe('RUN a');
  const inputs = JSON.parse(record.inputs) as { op: [string, unknown][]; inputs: object[] };
  expect(Object.fromEntries(inputs.op)).toMatchObject({ op: 'exec', args: ['a'], cwd: '/' });
  expect(inputs.inputs).toEqual([
    { name: 'docker-image://docker.io/library/alpine', index: 0, record: expect.stringMatching(/^r1-/) as string },
    { name: 'WRITE /lib/x', index: 0, content: expect.stringMatching(/^sha256:/) as string },
  ]);
});

test('deep and wide graphs', async () => {
  const { disk, build } = setUp();
  let chain = out(image('alpine'));
  for (let i = 0; i < 2000; i++) chain = out(write(chain, `/f${i}`, String(i)));
  const worker = new FakeWorker(disk);
  worker.during = async () => undefined;
  const { ran } = await build(chain.vertex, {}, worker);
  expect(ran).toHaveLength(2000);
  const { events } = await build(chain.vertex);
  expect(events.filter((event) => event.type === 'vertex' && event.cached === true)).toHaveLength(2001);
  // Bytes of all of it at once.
  for (const [id] of disk.layers) if (!id.startsWith('i')) disk.bytes.delete(id);
  const refill = new FakeWorker(disk);
  refill.during = async () => undefined;
  expect((await build(chain.vertex, {}, refill)).ran).toHaveLength(2000);
});
