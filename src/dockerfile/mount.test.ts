import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { csvFields } from './csv.ts';
import { parseBytes } from './go-values.ts';
import { checkMount, parseMount, type Mount } from './mount.ts';

const OWNER = { mode: undefined, uid: undefined, gid: undefined };
const LOCATION = { file: { filename: 'Dockerfile', text: '', language: 'Dockerfile' as const }, ranges: [] };

describe('parseMount', () => {
  test.each<[string, Mount]>([
    ['target=/x', { type: 'bind', from: undefined, source: '', target: '/x', readonly: true }],
    [
      'type=bind,from=build,source=/out,dst=/in,rw',
      { type: 'bind', from: 'build', source: '/out', target: '/in', readonly: false },
    ],
    [
      'TYPE=Bind,src=a,destination=b,ro=false',
      { type: 'bind', from: undefined, source: 'a', target: 'b', readonly: false },
    ],
    ['type=bind,target=b,readwrite=0', { type: 'bind', from: undefined, source: '', target: 'b', readonly: true }],
    ['"source=a,b",target=c', { type: 'bind', from: undefined, source: 'a,b', target: 'c', readonly: true }],
    [
      'type=cache,target=/root/.cache',
      {
        type: 'cache',
        id: undefined,
        from: undefined,
        source: '',
        target: '/root/.cache',
        sharing: 'shared',
        readonly: false,
        ...OWNER,
      },
    ],
    [
      'type=cache,id=k,target=c,from=seed,source=s,sharing=LOCKED,mode=0750,uid=1,gid=2,readonly',
      {
        type: 'cache',
        id: 'k',
        from: 'seed',
        source: 's',
        target: 'c',
        sharing: 'locked',
        readonly: true,
        mode: 0o750,
        uid: 1,
        gid: 2,
      },
    ],
    [
      'type=secret,id=tok',
      { type: 'secret', id: 'tok', target: '/run/secrets/tok', env: undefined, required: false, ...OWNER },
    ],
    [
      'type=secret,source=a/b,required',
      { type: 'secret', id: 'a/b', target: '/run/secrets/b', env: undefined, required: true, ...OWNER },
    ],
    [
      'type=secret,target=/etc/key,required=1,mode=400,uid=5',
      {
        type: 'secret',
        id: 'key',
        target: '/etc/key',
        env: undefined,
        required: true,
        mode: 0o400,
        uid: 5,
        gid: undefined,
      },
    ],
    [
      'type=secret,id=t,env=TOKEN',
      { type: 'secret', id: 't', target: undefined, env: 'TOKEN', required: false, ...OWNER },
    ],
    [
      'type=secret,id=t,env=TOKEN,target=/t',
      { type: 'secret', id: 't', target: '/t', env: 'TOKEN', required: false, ...OWNER },
    ],
    ['type=ssh', { type: 'ssh', id: undefined, target: undefined, required: false, ...OWNER }],
    [
      'type=ssh,id=github,target=/s,required=true,mode=0600',
      { type: 'ssh', id: 'github', target: '/s', required: true, mode: 0o600, uid: undefined, gid: undefined },
    ],
    ['type=tmpfs,target=/t', { type: 'tmpfs', target: '/t', size: undefined, readonly: false }],
    ['type=tmpfs,target=/t,ro', { type: 'tmpfs', target: '/t', size: undefined, readonly: true }],
    ['type=tmpfs,target=/t,size=1.5m', { type: 'tmpfs', target: '/t', size: 1572864, readonly: false }],
  ])('%s', (csv, expected) => {
    expect(parseMount(csv)).toEqual(expected);
  });

  test('expands every value but that of from', () => {
    const seen: string[] = [];
    const mount = parseMount('type=$T,from=x$,target=$D,id=i', (value) => {
      seen.push(value);
      return value === '$T' ? 'cache' : value === '$D' ? '/d' : value;
    });
    expect(seen).toEqual(['$T', '$D', 'i']);
    expect(mount).toMatchObject({ type: 'cache', from: 'x$', target: '/d', id: 'i' });
  });

  test.each<[string, RegExp, RegExp?]>([
    ['', /empty/],
    ['type=bind,"source=a', /quote/],
    ['type=tmp', /"tmp" is no mount type/, /did you mean tmpfs/],
    ['typ=tmpfs', /"typ=tmpfs" is no option/, /did you mean type/],
    ['foo', /"foo" is no option/],
    ['target', /target of --mount has no value/],
    ['type=cache,sharing=shard', /no sharing mode/, /did you mean shared/],
    ['type=bind,sharing=shared', /bind mount has no sharing/],
    ['type=secret,sharing=shared,id=a', /no sharing/],
    ['type=bind,required', /required is no option of a bind mount/],
    ['required,type=secret,id=a', /required is no option of a bind mount/, /type= before/],
    ['size=1m,type=tmpfs', /size is no option/, /type= before/],
    ['type=tmpfs,size=big', /no size/],
    ['type=bind,mode=755', /mode is no option of a bind/],
    ['type=tmpfs,uid=1', /uid is no option of a tmpfs/],
    ['type=cache,mode=8', /no mode/],
    ['type=cache,mode=-1', /no mode/],
    ['type=cache,uid=4294967296', /no number/],
    ['type=cache,gid=0x1', /no number/],
    ['ro=yes', /true or false/],
    ['type=secret', /needs an id/],
    ['type=secret,id=a,source=b', /id or source/],
    ['type=secret,id=a,from=b', /no from/],
    ['from=$STAGE,target=/x', /cannot hold a variable/, /AS/],
  ])('%j is an error', (csv, message, hint = /|/) => {
    const run = (): Mount => parseMount(csv, undefined, LOCATION);
    expect(run).toThrow(BuildError);
    expect(run).toThrow(message);
    expect(run).toThrow(expect.objectContaining({ code: 'dockerfile', location: LOCATION }) as Error);
    if (hint.source !== '|')
      expect(run).toThrow(expect.objectContaining({ hint: expect.stringMatching(hint) as string }) as Error);
  });

  test('before variables are known only the form and from are checked', () => {
    expect(() => checkMount('type=$T,foo,target=$X,from=a', LOCATION)).not.toThrow();
    expect(() => checkMount('from=${X}', LOCATION)).toThrow(/variable/);
    expect(() => checkMount('"a', LOCATION)).toThrow(/quote/);
  });
});

test.each<[string, unknown]>([
  ['a', ['a']],
  ['a,b', ['a', 'b']],
  ['a,', ['a', '']],
  [',', ['', '']],
  ['"a,b",c', ['a,b', 'c']],
  ['"a""b"', ['a"b']],
  [' a, b', [' a', ' b']],
  ['""', ['']],
  ['"a"b', { fault: expect.any(String) as string }],
  ['a"b', { fault: expect.any(String) as string }],
  ['"a', { fault: expect.any(String) as string }],
])('csvFields(%j)', (text, expected) => {
  expect(csvFields(text)).toEqual(expected);
});

test.each<[string, number | undefined]>([
  ['0', 0],
  ['10b', 10],
  ['1k', 1024],
  ['1KiB', 1024],
  ['2 gb', 2 * 1024 ** 3],
  ['1.5m', 1572864],
  ['1.', undefined],
  ['m', undefined],
  ['-1', undefined],
  ['1x', undefined],
])('parseBytes(%j) is %j', (text, expected) => {
  expect(parseBytes(text)).toBe(expected);
});
