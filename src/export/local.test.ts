import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readlinkSync,
  readdirSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import type { Layer } from '../contracts/index.ts';
import { createExporter } from './create-exporter.ts';
import { parseOutput } from './parse-output.ts';
import { META, openFixture, sha256 } from './testing/fixture.ts';
import type { Fixture } from './testing/fixture.ts';

let fixture: Fixture;
let dest = '';
beforeAll(async () => {
  fixture = await openFixture();
});
beforeEach(() => {
  dest = mkdtempSync(join(fixture.dir, 'dest-'));
});
afterAll(() => fixture.close());

const run = async (layers: readonly Layer[], more = ''): Promise<void> => {
  const deps = { store: fixture.store, registry: {} as never, stdout: new PassThrough(), names: [], cwd: fixture.dir };
  const exporter = await createExporter(parseOutput(`type=local,dest=${dest}${more}`), deps);
  await exporter.export([fixture.input(layers)], fixture.context);
};
const at = (path: string): string => join(dest, path);

test('files, links, modes and times; the owner is who exports', async () => {
  await run([
    fixture.layer({
      d: { type: 'directory', ...META, mode: 0o1750, uid: 5, gid: 5, mtime: 1000 },
      'd/f': 'content',
      'd/hard': { type: 'file', ...META, size: 7, hardlink: 'd/f' },
      'd/empty': '',
      s: { type: 'symlink', ...META, mode: 0o777, target: '/etc/passwd', mtime: 7 },
      bin: { type: 'file', ...META, mode: 0o4755, uid: 99, gid: 99, size: 0 },
      pipe: { type: 'fifo', ...META },
      sock: { type: 'socket', ...META },
      '\udcff': 'not utf-8',
    }),
    fixture.layer({ 'd/empty': { type: 'whiteout' } }),
  ]);
  const listing = execFileSync('find', ['.', '-mindepth', '1', '-printf', '%P %y %m %U %G %T@ %l %s\n'], {
    cwd: dest,
    encoding: 'latin1',
  });
  const own = `${process.getuid?.() ?? 0} ${process.getgid?.() ?? 0}`;
  const lines = listing
    .trim()
    .split('\n')
    .map((line) => line.replace(/ d (\d+) (\d+ \d+) (\S+) .*/, ' d $1 $2 $3'));
  expect(lines.sort()).toEqual(
    [
      `bin f 4755 ${own} 1700000000.0000000000  0`,
      `d d 1750 ${own} 1000.0000000000`,
      `d/f f 644 ${own} 1700000000.0000000000  7`,
      `d/hard f 644 ${own} 1700000000.0000000000  7`,
      `pipe p 644 ${own} 1700000000.0000000000  0`,
      `s l 777 ${own} 7.0000000000 /etc/passwd 11`,
      `\xff f 644 ${own} 1700000000.0000000000  9`,
    ].sort(),
  );
  expect(statSync(at('d/f')).ino).toBe(statSync(at('d/hard')).ino);
});

test('links that lie in the destination are never followed', async () => {
  const outside = mkdtempSync(join(fixture.dir, 'outside-'));
  writeFileSync(join(outside, 'sentinel'), 'untouched');
  writeFileSync(join(outside, 'file'), 'untouched');
  symlinkSync(outside, at('dir'));
  symlinkSync(join(outside, 'file'), at('file'));
  mkdirSync(at('real'));
  symlinkSync(outside, at('real/sub'));
  await run([
    fixture.layer({
      dir: { type: 'directory', ...META, mode: 0o755 },
      'dir/sentinel': 'new',
      file: 'new',
      'real/sub/sentinel': 'new',
    }),
  ]);
  expect(readFileSync(join(outside, 'sentinel'), 'utf8')).toBe('untouched');
  expect(readFileSync(join(outside, 'file'), 'utf8')).toBe('untouched');
  expect(readdirSync(outside).sort()).toEqual(['file', 'sentinel']);
  for (const path of ['dir', 'file', 'real/sub']) expect(lstatSync(at(path)).isSymbolicLink()).toBe(false);
  expect(readFileSync(at('real/sub/sentinel'), 'utf8')).toBe('new');
});

test('links of the result are written, not followed', async () => {
  await run([fixture.layer({ a: { type: 'symlink', ...META, target: '..' } }), fixture.layer({ 'b/c': 'x' })]);
  expect(readlinkSync(at('a'))).toBe('..');
  expect(readFileSync(at('b/c'), 'utf8')).toBe('x');
});

test('what is there stays, unless it is in the way', async () => {
  writeFileSync(at('mine'), 'mine');
  writeFileSync(at('f'), 'old');
  mkdirSync(at('was-directory/deep'), { recursive: true });
  writeFileSync(at('was-directory/deep/x'), 'x');
  writeFileSync(at('was-file'), 'x');
  await run([fixture.layer({ f: 'new', 'was-directory': 'file now', 'was-file/x': 'directory now' })]);
  expect(readFileSync(at('mine'), 'utf8')).toBe('mine');
  expect(readFileSync(at('f'), 'utf8')).toBe('new');
  expect(readFileSync(at('was-directory'), 'utf8')).toBe('file now');
  expect(readFileSync(at('was-file/x'), 'utf8')).toBe('directory now');
});

test('mode=delete leaves the result and nothing else', async () => {
  const outside = mkdtempSync(join(fixture.dir, 'outside-'));
  writeFileSync(join(outside, 'sentinel'), 'untouched');
  mkdirSync(at('old/deep'), { recursive: true });
  writeFileSync(at('old/deep/x'), 'x');
  symlinkSync(outside, at('old/link'));
  mkdirSync(at('kept'));
  writeFileSync(at('kept/old'), 'x');
  await run([fixture.layer({ 'kept/new': 'x' })], ',mode=delete');
  expect(execFileSync('find', ['.', '-type', 'f'], { cwd: dest, encoding: 'utf8' }).trim()).toBe('./kept/new');
  expect(existsSync(at('old'))).toBe(false);
  expect(readFileSync(join(outside, 'sentinel'), 'utf8')).toBe('untouched');
});

test('with an epoch every time is it', async () => {
  await run([fixture.layer({ 'a/b': 'x' })], ',source-date-epoch=77');
  for (const path of ['a', 'a/b']) expect(statSync(at(path)).mtimeMs).toBe(77_000);
});

test('a directory that is not there yet, by platform', async () => {
  dest = join(dest, 'new/deep');
  await run([fixture.layer({ f: 'x' })], ',platform-split=true');
  expect(readFileSync(at('linux_amd64/f'), 'utf8')).toBe('x');
});

test('a file of the build context that changed', async () => {
  const file = join(fixture.dir, 'user-file');
  writeFileSync(file, 'changed');
  const layer = fixture.layer({ f: 'before!' });
  const changed: Layer = { ...layer, locate: async () => [{ kind: 'context-file', path: file }] };
  await expect(run([changed])).rejects.toMatchObject({ code: 'context' });
  writeFileSync(file, 'before!');
  await run([changed]);
  expect(sha256(readFileSync(at('f')))).toBe(sha256('before!'));
});
