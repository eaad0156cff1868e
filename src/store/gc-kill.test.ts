/** A collector that is killed at any moment leaves a state directory in which nothing is wrong. */
import { spawn } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';
import type { Digest, LayerId } from '../contracts/index.ts';
import { openStore } from './open.ts';
import { addBlob, addImage, addLayer, addRecord, digest } from './testing/cached-store.ts';

let root: string;
beforeEach(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-gc-kill-'));
});
afterEach(() => rmSync(root, { recursive: true }));

const PROGRAM = fileURLToPath(new URL('testing/prune-process.ts', import.meta.url));

const KILL_AT = new URL('testing/kill-at.ts', import.meta.url).href;

type Moment =
  | { readonly milliseconds: number }
  /** Before the change of that number to the file system. */
  | { readonly change: number };

/** Starts a collection, kills it at that moment after it began. @returns Whether it had ended before. */
async function collectAndKill(moment: Moment): Promise<boolean> {
  const [hook, env] =
    'change' in moment ? [['--import', KILL_AT], { ...process.env, KILL_AT: `${moment.change}` }] : [[], process.env];
  const child = spawn(process.execPath, [...hook, PROGRAM, root], { stdio: ['ignore', 'pipe', 'inherit'], env });
  let output = '';
  const begun = new Promise<void>((resolve) => {
    child.stdout.on('data', (data: Buffer) => {
      output += data.toString();
      resolve();
    });
  });
  const exited = new Promise<number | null>((resolve) => child.on('close', resolve));
  if ('milliseconds' in moment) {
    await Promise.race([begun, exited]);
    await Promise.race([sleep(moment.milliseconds), exited]);
    child.kill('SIGKILL');
  }
  const code = await exited;
  if (code !== null) expect(code).toBe(0);
  return output.includes('end');
}

test('killed again and again', { timeout: 120_000 }, async () => {
  const images: { id: LayerId; blob: Digest }[] = [];
  const store = await openStore({ root });
  for (let i = 0; i < 250; i++) {
    const id = await addLayer(store, `layer-${i}`, 3000);
    const blob = await addBlob(store, id, `layer ${i}`);
    addRecord(store, `record ${i}`, images[0] === undefined ? [id] : [images[0].id, id]);
    if (i % 50 === 0) {
      images.push({ id, blob });
      await addImage(store, `image-${i}`, [{ blob, diffId: digest(`diff layer ${i}`) }]);
    }
  }
  store.close();

  let kills = 0;
  let interrupted = 0;
  const checkWhole = async (moment: Moment): Promise<void> => {
    kills++;
    const check = await openStore({ root });
    const { problems, leftovers } = await check.verify(true);
    expect(problems, JSON.stringify(moment)).toEqual([]);
    if (leftovers.length > 0) interrupted++;
    // What is used meanwhile is whole, or not there.
    const id = `record ${kills + 100}`;
    const layers = check.findRecord(id)?.outputs.flat() ?? [];
    for (const layer of layers) expect(check.layer(layer), id).toMatchObject({ hasTree: true });
    check.close();
  };
  // Before anything is removed, amid a transaction that removes, in a later one; then in what the clock meets.
  const changes = [1, 30, 150];
  for (const change of changes) {
    expect(await collectAndKill({ change })).toBe(false);
    await checkWhole({ change });
  }
  expect(interrupted).toBe(changes.length);
  for (let milliseconds = 0; !(await collectAndKill({ milliseconds })); milliseconds += 15) {
    await checkWhole({ milliseconds });
  }

  const end = await openStore({ root });
  await end.prune({ all: true });
  expect(await end.verify(true)).toMatchObject({ problems: [], leftovers: [], images: images.length, records: 0 });
  for (const { id, blob } of images) {
    expect(end.layer(id)).toMatchObject({ hasTree: true });
    expect(end.hasBlob(blob)).toBe(true);
  }
  expect(readdirSync(join(root, 'l')).sort()).toEqual(images.map(({ id }) => id).sort());
  end.close();
  expect(readdirSync(join(root, 'tmp'))).toEqual([]);
});
