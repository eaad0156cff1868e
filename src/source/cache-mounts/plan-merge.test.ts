import { expect, test } from 'vitest';
import { digestOf, stampOf } from '../../image/index.ts';
import type { MountEntry, MountIndex, ScannedMount, SyncedState } from '../../image/index.ts';
import type { ExactStat } from '../../sys/stat.ts';
import { planAll, planMerge } from './plan-merge.ts';

/** `{ 'a/b': 'content' }`; a name ending in a slash is a directory, a value beginning with `->` a link. */
type Files = Readonly<Record<string, string>>;

const meta = { mode: 0o644, uid: 0, gid: 0, mtime: 1, mtimeNsec: 0 };

function indexOf(files: Files): MountIndex {
  const entries = new Map<string, MountEntry>([['', { ...meta, type: 'directory' }]]);
  for (const [name, value] of Object.entries(files)) {
    if (name.endsWith('/')) entries.set(name.slice(0, -1), { ...meta, type: 'directory' });
    else if (value.startsWith('->')) entries.set(name, { ...meta, type: 'symlink', target: value.slice(2) });
    else entries.set(name, { ...meta, type: 'file', digest: digestOf(value), size: value.length });
  }
  return { entries, packs: [] };
}

function statOf(name: string, value: string): ExactStat {
  const type = name.endsWith('/') ? 'directory' : value.startsWith('->') ? 'symlink' : 'file';
  // The inode stands for the content.
  const ino = BigInt(`0x${digestOf(value).slice(7, 19)}`);
  return { ...meta, type, size: value.length, nlink: 1, dev: 1, ino, major: 0, minor: 0, ctime: 1, ctimeNsec: 0 };
}

function localOf(files: Files): ScannedMount {
  return new Map([
    ['', { stat: statOf('/', '') }],
    ...Object.entries(files).map(([name, value]) => [name.replace(/\/$/, ''), { stat: statOf(name, value) }] as const),
  ]);
}

function baseOf(files: Files | undefined): SyncedState | undefined {
  if (files === undefined) return undefined;
  const stamps = Object.entries(files).map(([name, value]) => [name, stampOf(statOf(name, value))] as const);
  return { place: 'r', manifest: digestOf(''), index: indexOf(files), root: '1', stamps: new Map(stamps) };
}

test.each<
  [string, { local: Files; base?: Files; remote: Files; write?: string[]; remove?: string[]; inStep?: string[] }]
>([
  ['new there', { local: { a: '1' }, base: { a: '1' }, remote: { a: '1', b: '2' }, write: ['b'], inStep: ['a', 'b'] }],
  ['changed there', { local: { a: '1' }, base: { a: '1' }, remote: { a: '2' }, write: ['a'], inStep: ['a'] }],
  ['changed here', { local: { a: '2' }, base: { a: '1' }, remote: { a: '1' } }],
  ['changed on both sides', { local: { a: '2' }, base: { a: '1' }, remote: { a: '3' } }],
  ['new here', { local: { a: '1' }, base: {}, remote: {} }],
  ['new on both sides', { local: { a: '1' }, base: {}, remote: { a: '2' } }],
  ['removed there', { local: { a: '1' }, base: { a: '1' }, remote: {}, remove: ['a'] }],
  ['removed there, changed here', { local: { a: '2' }, base: { a: '1' }, remote: {} }],
  ['removed here', { local: {}, base: { a: '1' }, remote: { a: '1' } }],
  ['removed here, changed there', { local: {}, base: { a: '1' }, remote: { a: '2' }, write: ['a'], inStep: ['a'] }],
  [
    'no common past: what is here stays',
    { local: { a: '1' }, remote: { a: '2', b: '3' }, write: ['b'], inStep: ['b'] },
  ],
  ['a new directory', { local: {}, base: {}, remote: { 'd/': '', 'd/a': '1' }, write: ['d', 'd/a'], inStep: ['d/a'] }],
  [
    'a new file in a directory that was removed here',
    {
      local: {},
      base: { 'd/': '', 'd/a': '1' },
      remote: { 'd/': '', 'd/a': '1', 'd/b': '2' },
      write: ['d', 'd/b'],
      inStep: ['d/b'],
    },
  ],
  [
    'a directory removed there',
    { local: { 'd/': '', 'd/a': '1' }, base: { 'd/': '', 'd/a': '1' }, remote: {}, remove: ['d/a', 'd'] },
  ],
  ['a directory there, a file here', { local: { d: 'x' }, remote: { 'd/': '', 'd/a': '1', 'd/e/': '', 'd/e/b': '1' } }],
  ['a directory there, a link here', { local: { d: '->/etc' }, remote: { 'd/': '', 'd/passwd': '1' } }],
  ['a file there, a directory here', { local: { 'd/': '', 'd/a': '1' }, remote: { d: 'x' } }],
  [
    'a link that changed there',
    { local: { l: '->a' }, base: { l: '->a' }, remote: { l: '->b' }, write: ['l'], inStep: ['l'] },
  ],
])('%s', (_, { local, base, remote, write = [], remove = [], inStep = [] }) => {
  expect(planMerge(localOf(local), baseOf(base), indexOf(remote))).toEqual({ write, remove, inStep });
});

test('into an empty directory goes everything', () => {
  expect(planAll(indexOf({ 'd/': '', 'd/a': '1', l: '->d' }))).toEqual({
    write: ['d', 'd/a', 'l'],
    remove: [],
    inStep: ['d/a', 'l'],
  });
});
