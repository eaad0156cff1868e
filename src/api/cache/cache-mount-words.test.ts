import { expect, test } from 'vitest';
import { parseMountFrom, parseMountTo } from './cache-mount-words.ts';

const place = { type: 'registry', repository: 'r.io/team/x', prefix: '', insecure: false };
const source = { place, scope: 'main', id: undefined, ignoreError: true };

test.each<[string, object]>([
  ['type=registry,ref=r.io/team/x', source],
  ['r.io/team/x', source],
  ['type=registry,ref=r.io/team/x:mounts', { ...source, place: { ...place, prefix: 'mounts' } }],
  [
    'type=registry,ref=r.io/team/x,scope=pr-1,id=npm,registry.insecure=true,ignore-error=false',
    { place: { ...place, insecure: true }, scope: 'pr-1', id: 'npm', ignoreError: false },
  ],
  ['type=local,src=dir', { ...source, place: { type: 'local', directory: '/work/dir', prefix: '' } }],
])('--cache-mount-from %s', (text, expected) => {
  expect(parseMountFrom([text], '/work')).toEqual([expected]);
});

test.each<[string, number | undefined]>([
  ['', undefined],
  ['500m', 500 << 20],
  ['2g', 2 * 2 ** 30],
  ['1.5GB', 1.5 * 2 ** 30],
  ['1000', 1000],
  ['10kib', 10240],
])('max-size=%s', (size, expected) => {
  expect(parseMountTo([`type=local,dest=d,max-size=${size}`], '/work')[0]?.maxSize).toBe(expected);
});

test.each([
  ['type=registry', 'needs ref='],
  ['type=gha', 'no type=gha'],
  ['type=local,src=d', 'no src='],
  ['type=registry,ref=UPPER', 'UPPER'],
  [`type=registry,ref=r.io/x@sha256:${'0'.repeat(64)}`, 'digest'],
  ['type=local,dest=d,max-size=much', 'max-size=much'],
  ['type=local,dest=d,size=1', 'no size='],
])('--cache-mount-to %s is refused', (text, message) => {
  expect(() => parseMountTo([text], '/work')).toThrow(
    expect.objectContaining({ code: 'usage', message: expect.stringContaining(message) as string }),
  );
});
