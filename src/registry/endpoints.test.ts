import { describe, expect, it } from 'vitest';
import { endpointsOf, isLoopback, parseMirrors } from './endpoints.ts';

describe('parseMirrors', () => {
  const table: readonly (readonly [string, Record<string, readonly string[]>])[] = [
    ['', {}],
    ['docker.io=127.0.0.1:5000', { 'docker.io': ['127.0.0.1:5000'] }],
    ['docker.io=127.0.0.1:5000,mirror.example', { 'docker.io': ['127.0.0.1:5000', 'mirror.example'] }],
    ['docker.io=a:1,b:2;quay.io=c:3', { 'docker.io': ['a:1', 'b:2'], 'quay.io': ['c:3'] }],
    ['docker.io=a:1,quay.io=c:3', { 'docker.io': ['a:1'], 'quay.io': ['c:3'] }],
    [' docker.io=a:1 ; quay.io=c:3 ', { 'docker.io': ['a:1'], 'quay.io': ['c:3'] }],
    ['docker.io=a:1;docker.io=b:2,a:1', { 'docker.io': ['a:1', 'b:2'] }],
    ['index.docker.io=a:1', { 'docker.io': ['a:1'] }],
    ['ghcr.io=http://10.0.0.1:5000/cache/', { 'ghcr.io': ['http://10.0.0.1:5000/cache/'] }],
    ['docker.io=[::1]:5000', { 'docker.io': ['[::1]:5000'] }],
  ];
  it.each(table)('%j', (text, expected) => {
    expect(Object.fromEntries(parseMirrors(text))).toEqual(expected);
  });

  it.each(['127.0.0.1:5000', 'docker.io=', '=a', 'docker.io=ftp://a', 'docker.io=a b:c:d', 'docker.io=a/../b'])(
    'refuses %j',
    (text) => {
      expect(() => parseMirrors(text)).toThrow(expect.objectContaining({ code: 'usage' }));
    },
  );
});

describe('endpointsOf', () => {
  const none = { mirrors: new Map<string, string[]>(), insecure: [] };

  it('asks Docker Hub under its real name, with the credentials of docker.io', () => {
    expect(endpointsOf('docker.io/library/alpine', none)).toMatchObject([
      {
        host: 'registry-1.docker.io',
        account: 'docker.io',
        path: 'library/alpine',
        schemes: ['https'],
        verifyTls: true,
      },
    ]);
  });

  it('tries mirrors in order, then the registry', () => {
    const mirrors = parseMirrors('docker.io=127.0.0.1:5000,https://m.example/cache');
    expect(endpointsOf('docker.io/a/b', { mirrors, insecure: [] })).toMatchObject([
      { host: '127.0.0.1:5000', schemes: ['http', 'https'], mirror: true, prefix: '' },
      { host: 'm.example', schemes: ['https'], mirror: true, prefix: '/cache' },
      { host: 'registry-1.docker.io', mirror: false },
    ]);
  });

  it.each([
    ['localhost:5000/a', [], ['http', 'https'], false],
    ['registry.example/a', [], ['https'], true],
    ['registry.example:5000/a', ['registry.example:5000'], ['https', 'http'], false],
    ['registry.example:5000/a', ['registry.example'], ['https', 'http'], false],
    ['registry.example/a', ['other.example'], ['https'], true],
  ] as const)('%s with insecure %j speaks %j', (repository, insecure, schemes, verifyTls) => {
    const [endpoint] = endpointsOf(repository, { ...none, insecure });
    expect(endpoint).toMatchObject({ schemes, verifyTls });
  });

  it('never takes a host that merely begins like loopback for it', () => {
    const hosts = ['127.0.0.1', '127.1.2.3:80', 'localhost', '[::1]:5000', 'LOCALHOST:1', 'a.localhost'];
    expect(hosts.filter((host) => !isLoopback(host))).toEqual([]);
    const others = ['127.0.0.1.example', 'localhost.example', '10.0.0.1', '128.0.0.1', 'xlocalhost'];
    expect(others.filter(isLoopback)).toEqual([]);
  });
});
