import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { afterAll, expect, test } from 'vitest';
import { closeLockFile, openLockFile, tryFlock, waitFlock } from './flock.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-flock-'));
afterAll(() => rmSync(dir, { recursive: true }));

const HOLDER = `
  const { openLockFile, tryFlock } = await import(${JSON.stringify(new URL('./flock.ts', import.meta.url).href)});
  console.log(tryFlock(openLockFile(process.argv[1])));
  setInterval(() => {}, 1000);`;

test('shared with shared, exclusive with nobody', () => {
  const path = join(dir, 'modes');
  const [a, b, c] = [openLockFile(path), openLockFile(path), openLockFile(path)];
  expect(tryFlock(a, true)).toBe(true);
  expect(tryFlock(b, true)).toBe(true);
  expect(tryFlock(c)).toBe(false);
  closeLockFile(a);
  expect(tryFlock(c)).toBe(false);
  closeLockFile(b);
  expect(tryFlock(c)).toBe(true);
  closeLockFile(c);
});

test('kill -9 of the holder lets the waiting one in; the event loop runs meanwhile', async () => {
  const path = join(dir, 'killed');
  const child = spawn(process.execPath, ['--input-type=module', '-e', HOLDER, path], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await new Promise((resolve) => child.stdout.once('data', resolve));
  const fd = openLockFile(path);
  expect(tryFlock(fd)).toBe(false);
  let ticks = 0;
  const ticker = setInterval(() => {
    if (++ticks === 5) child.kill('SIGKILL');
  }, 1);
  await waitFlock(fd, false, undefined);
  clearInterval(ticker);
  expect(ticks).toBeGreaterThanOrEqual(5);
  closeLockFile(fd);
});

test('a signal ends the wait', async () => {
  const path = join(dir, 'aborted');
  const held = openLockFile(path);
  const fd = openLockFile(path);
  tryFlock(held);
  const controller = new AbortController();
  const waiting = waitFlock(fd, false, controller.signal);
  controller.abort();
  await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
  await expect(waitFlock(fd, false, controller.signal)).rejects.toMatchObject({ code: 'cancelled' });
  closeLockFile(held);
  closeLockFile(fd);
});

test('a lock taken on a thread outlives the thread', async () => {
  const path = join(dir, 'thread');
  const worker = new Worker(
    `const { workerData } = require('node:worker_threads');
     import(workerData.module).then(({ openLockFile, tryFlock }) => { if (!tryFlock(openLockFile(workerData.path))) throw 1; });`,
    { eval: true, workerData: { module: new URL('./flock.ts', import.meta.url).href, path } },
  );
  const code = await new Promise((resolve) => worker.once('exit', resolve));
  expect(code).toBe(0);
  const fd = openLockFile(path);
  expect(tryFlock(fd)).toBe(false);
  closeLockFile(fd);
});
