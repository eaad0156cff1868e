import { describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { setEnv, setInList } from './env.ts';
import { gitIdentifier, parseGitUrl } from './git-url.ts';
import { goDuration, goJson, goQuote } from './go-format.ts';
import { parseMode } from './mode.ts';
import { parseOwner } from './owner.ts';
import { absolutePath, baseName, destinationPath, joinPath } from './paths.ts';
import { formatPlatform, normalizePlatform, parsePlatform } from './platform.ts';
import { proxyEnv } from './proxy.ts';
import { AMD64 } from './testing.ts';

const location = {
  file: { filename: 'Dockerfile', text: '', language: 'Dockerfile' },
  ranges: [],
} as const;

describe('Go formats', () => {
  it.each([
    ['plain', '"plain"'],
    ['say "hi" \\ there', '"say \\"hi\\" \\\\ there"'],
    ['a\tb\nc\rd\x07\b\f\v', '"a\\tb\\nc\\rd\\a\\b\\f\\v"'],
    ['\x00\x1f\x7f', '"\\x00\\x1f\\x7f"'],
    ['é \u00a0 \u200b \ue000 \u{e0001}', '"é \\u00a0 \\u200b \\ue000 \\U000e0001"'],
    ['日本 😀', '"日本 😀"'],
  ])('quotes %j as strconv.Quote', (text, quoted) => {
    expect(goQuote(text)).toBe(quoted);
  });

  it.each([
    [0, '0s'],
    [1, '1ns'],
    [1_500, '1.5µs'],
    [1_000_000, '1ms'],
    [1_500_000_000, '1.5s'],
    [30e9, '30s'],
    [90e9, '1m30s'],
    [3600e9, '1h0m0s'],
    [3661.25e9, '1h1m1.25s'],
    [300 * 3600e9, '300h0m0s'],
  ])('prints %d ns as %s', (nanoseconds, text) => {
    expect(goDuration(nanoseconds)).toBe(text);
  });

  it('escapes JSON as encoding/json', () => {
    expect(goJson(['a<b>&"c"', '\u2028'])).toBe('["a\\u003cb\\u003e\\u0026\\"c\\"","\\u2028"]');
  });
});

describe('paths', () => {
  it.each([
    ['/w', 'a', '/w/a'],
    ['/w', '.', '/w/'],
    ['/w', '', '/w/'],
    ['/w', './', '/w/'],
    ['/w', 'a/', '/w/a/'],
    ['/w', 'a/.', '/w/a/.'],
    ['/w', '/a//b/../c/', '/a/c/'],
    ['/w', '/', '/'],
    ['/w', '/.', '/.'],
    ['/w', '../../../x', '/x'],
    ['/', 'x', '/x'],
  ])('in %s, the destination %j is %s', (workdir, path, expected) => {
    expect(destinationPath(workdir, path)).toBe(expected);
  });

  it.each([
    ['/', '../../etc', '/etc'],
    ['/a', 'b/../c', '/a/c'],
    ['/a', '/b/', '/b'],
    ['rel', 'x', '/rel/x'],
  ])('below %s, %s is %s', (parent, path, expected) => {
    expect(absolutePath(parent, path)).toBe(expected);
  });

  it('joins and takes base names as Go', () => {
    expect(joinPath('', '')).toBe('');
    expect(joinPath('/', 'a', '../b')).toBe('/b');
    expect([baseName(''), baseName('/'), baseName('a/b/'), baseName('/x')]).toEqual(['.', '/', 'b', 'x']);
  });
});

describe('environment', () => {
  it('moves what is set again to the end, but not in the image list', () => {
    const env = setEnv(setEnv(setEnv(new Map(), 'A', '1'), 'B', '2'), 'A', '3');
    expect([...env]).toEqual([
      ['B', '2'],
      ['A', '3'],
    ]);
    expect(setInList(['A=1', 'B=2'], 'A', '3')).toEqual(['A=3', 'B=2']);
    expect(setInList(['AB=1'], 'A', '3')).toEqual(['AB=1', 'A=3']);
  });

  it('knows proxies in either case', () => {
    expect(proxyEnv({ X: '1' })).toBeUndefined();
    expect(proxyEnv({ HTTP_PROXY: 'upper', http_proxy: 'lower', NO_PROXY: 'x', All_Proxy: 'a' })).toEqual({
      httpProxy: 'lower',
      noProxy: 'x',
      allProxy: 'a',
    });
  });
});

describe('platforms', () => {
  it.each([
    ['linux/amd64', 'linux/amd64'],
    ['linux/x86_64', 'linux/amd64'],
    ['Linux/ARM64/v8', 'linux/arm64'],
    ['linux/arm', 'linux/arm/v7'],
    ['linux/arm/6', 'linux/arm/v6'],
    ['armhf', 'linux/arm/v7'],
    ['aarch64', 'linux/arm64'],
    ['windows', 'windows/amd64'],
    ['windows(10.0.1)/amd64', 'windows(10.0.1)/amd64'],
    ['macos', 'darwin/amd64'],
  ])('reads %s as %s', (text, expected) => {
    expect(formatPlatform(parsePlatform(text, AMD64, location))).toBe(expected);
  });

  it.each(['', 'nothing', 'linux/amd64/v1/x', '*', 'linux//v8', 'a b'])('refuses %j', (text) => {
    expect(() => parsePlatform(text, AMD64, location)).toThrow(BuildError);
  });

  it('keeps what it does not know', () => {
    expect(normalizePlatform({ os: 'linux', architecture: 'riscv64', variant: 'x' })).toEqual({
      os: 'linux',
      architecture: 'riscv64',
      variant: 'x',
    });
  });
});

describe('--chmod', () => {
  it.each([
    [undefined, { mode: -1 }],
    ['', { mode: -1 }],
    ['755', { mode: 0o755 }],
    ['07777', { mode: 0o7777 }],
    ['u+x', { mode: 0, modeStr: 'u+x' }],
    ['u+x,go-w', { mode: 0, modeStr: 'u+x,go-w' }],
    ['a=rX', { mode: 0, modeStr: 'a=rX' }],
    ['+t', { mode: 0, modeStr: '+t' }],
    ['g=u', { mode: 0, modeStr: 'g=u' }],
    ['u=gx', { mode: 0, modeStr: 'u=gx' }],
  ])('takes %j', (text, expected) => {
    expect(parseMode(text, location)).toEqual(expected);
  });

  it.each(['10000', '888', '64a', 'u+q', 'u', 'u+x,', '0o755', '-1'])('refuses %j', (text) => {
    expect(() => parseMode(text, location)).toThrow(/--chmod/);
  });
});

describe('owners', () => {
  it.each([
    ['root', { user: { kind: 'id', id: 0 } }],
    ['10', { user: { kind: 'id', id: 10 } }],
    ['me', { user: { kind: 'name', name: 'me', input: 0 } }],
    ['me:10', { user: { kind: 'name', name: 'me', input: 0 }, group: { kind: 'id', id: 10 } }],
    ['10:staff', { user: { kind: 'id', id: 10 }, group: { kind: 'name', name: 'staff', input: 0 } }],
    [':5', { user: { kind: 'id', id: 0 }, group: { kind: 'id', id: 5 } }],
    ['5:', { user: { kind: 'id', id: 5 }, group: { kind: 'id', id: 0 } }],
    ['99999999999', { user: { kind: 'name', name: '99999999999', input: 0 } }],
  ])('reads %s', (text, expected) => {
    expect(parseOwner(text, 0)).toEqual(expected);
  });
});

describe('git URLs', () => {
  it.each([
    ['https://github.com/a/b.git', 'git://github.com/a/b.git'],
    ['https://github.com/a/b.git#v1', 'git://github.com/a/b.git#v1'],
    ['https://github.com/a/b.git#v1:sub/dir', 'git://github.com/a/b.git#v1:sub/dir'],
    ['https://github.com/a/b.git#:sub', 'git://github.com/a/b.git#:sub'],
    ['https://me:pw@host:8443/b.git?tag=v1', 'git://host:8443/b.git#refs/tags/v1'],
    ['https://host/b.git?branch=x&subdir=y', 'git://host/b.git#refs/heads/x:y'],
    ['git@github.com:a/b.git#main', 'git://github.com/a/b.git#main'],
    ['ssh://git@host/a/b', 'git://host/a/b'],
    ['git://host/a', 'git://host/a'],
    ['https://host/b.git?commit=abc', 'git://host/b.git#abc'],
  ])('names %s', (text, identifier) => {
    const url = parseGitUrl(text, location);
    expect(url && gitIdentifier(url)).toBe(identifier);
  });

  it('reads the parts', () => {
    expect(parseGitUrl('https://h/r.git?ref=m&checksum=abc&keep-git-dir=1&submodules=false', location)).toMatchObject({
      remote: 'https://h/r.git',
      ref: 'm',
      checksum: 'abc',
      keepGitDir: true,
      submodules: false,
    });
  });

  it.each(['https://host/file.tgz', 'http://host/', './a.git', 'a/b', 'C:/x', 'github.com/a/b', 'host:path', ''])(
    'leaves %s alone',
    (text) => {
      expect(parseGitUrl(text, location)).toBeUndefined();
    },
  );

  it.each(['?x=1', '?ref=a&ref=b', '?ref=', '?tag=a&branch=b', '?ref=a#b', '?submodules=perhaps'])(
    'refuses the query %s',
    (query) => {
      expect(() => parseGitUrl(`https://host/b.git${query}`, location)).toThrow(/git URL/);
    },
  );
});
