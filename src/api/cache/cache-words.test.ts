import { expect, test } from 'vitest';
import { parseCacheFrom, parseCacheTo } from './cache-words.ts';

const registry = { type: 'registry', insecure: false, ignoreError: true };
const form = {
  mode: 'min',
  imageManifest: true,
  ociMediaTypes: true,
  compression: 'gzip',
  compressionLevel: undefined,
  forceCompression: false,
  ignoreError: true,
};

test.each<[string, readonly object[]]>([
  ['user/app:cache', [{ ...registry, repository: 'docker.io/user/app', reference: 'cache' }]],
  ['alpine', [{ ...registry, repository: 'docker.io/library/alpine', reference: 'latest' }]],
  [
    'user/a,user/b:2',
    [
      { ...registry, repository: 'docker.io/user/a', reference: 'latest' },
      { ...registry, repository: 'docker.io/user/b', reference: '2' },
    ],
  ],
  ['type=registry,ref=localhost:5000/c', [{ ...registry, repository: 'localhost:5000/c', reference: 'latest' }]],
  [
    `type=registry,ref=r.io/c@sha256:${'0'.repeat(64)}`,
    [{ ...registry, repository: 'r.io/c', reference: `sha256:${'0'.repeat(64)}` }],
  ],
  [
    'type=registry,ref=r.io/c,registry.insecure=true,ignore-error=false',
    [{ ...registry, repository: 'r.io/c', reference: 'latest', insecure: true, ignoreError: false }],
  ],
  ['type=local,src=dir', [{ type: 'local', src: '/work/dir', tag: 'latest', digest: undefined, ignoreError: true }]],
  [
    '"type=local","src=a,b",tag=x',
    [{ type: 'local', src: '/work/a,b', tag: 'x', digest: undefined, ignoreError: true }],
  ],
  ['', []],
])('--cache-from %s', (text, expected) => {
  expect(parseCacheFrom([text], '/work')).toEqual(expected);
});

test.each<[string, readonly object[]]>([
  ['user/app:cache', [{ type: 'registry', repository: 'docker.io/user/app', tag: 'cache', insecure: false, ...form }]],
  [
    'type=registry,ref=r.io/c:x,mode=max,compression=zstd,compression-level=19,force-compression=1',
    [
      {
        type: 'registry',
        repository: 'r.io/c',
        tag: 'x',
        insecure: false,
        ...form,
        mode: 'max',
        compression: 'zstd',
        compressionLevel: 19,
        forceCompression: true,
      },
    ],
  ],
  [
    'type=registry,ref=r.io/c,image-manifest=false',
    [{ type: 'registry', repository: 'r.io/c', tag: 'latest', insecure: false, ...form, imageManifest: false }],
  ],
  [
    'type=local,dest=out,reset=true,oci-mediatypes=false',
    [
      {
        type: 'local',
        dest: '/work/out',
        tag: 'latest',
        reset: true,
        ...form,
        ociMediaTypes: false,
        imageManifest: false,
      },
    ],
  ],
  ['type=inline', [{ type: 'inline' }]],
  ['type=inline,mode=max', [{ type: 'inline' }]],
])('--cache-to %s', (text, expected) => {
  expect(parseCacheTo([text], '/work')).toEqual(expected);
});

test.each<[string, string, string]>([
  ['ref=r.io/c', 'usage', 'type= is missing'],
  ['type=registry', 'usage', 'needs ref='],
  ['type=registry,ref=UPPER', 'usage', 'ref=UPPER'],
  ['type=regsitry,ref=r.io/c', 'usage', 'no type=regsitry'],
  ['type=registry,ref=r.io/c,mdoe=max', 'usage', 'no mdoe='],
  ['type=registry,ref=r.io/c,mode=all', 'usage', 'mode=all'],
  ['type=registry,ref=r.io/c,ignore-error=perhaps', 'usage', 'ignore-error=perhaps'],
  ['type=registry,ref=r.io/c,compression=gzip,compression-level=22', 'usage', 'compression-level=22'],
  ['type=registry,ref=r.io/c,compression=estargz', 'usage', 'compression=estargz'],
  ['type=registry,ref=r.io/c,oci-mediatypes=false,image-manifest=true', 'usage', 'OCI media types'],
  [`type=registry,ref=r.io/c@sha256:${'0'.repeat(64)}`, 'usage', 'digest'],
  ['type=local', 'usage', 'needs dest='],
  ['type=registry,ref', 'usage', 'has no value'],
  ['type=gha,scope=x', 'unsupported', 'type=gha'],
  ['type=s3,bucket=x', 'unsupported', 'type=s3'],
])('--cache-to %s is refused', (text, code, message) => {
  expect(() => parseCacheTo([text], '/work')).toThrow(
    expect.objectContaining({ code, message: expect.stringContaining(message) as string }),
  );
});
