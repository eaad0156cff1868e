import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { BuildError } from '../contracts/index.ts';
import { parseDocument, parseImageConfig, parseIndex, parseManifest } from './documents.ts';
import { MEDIA_TYPES } from './types.ts';

const digest = `sha256:${'0'.repeat(64)}`;
const descriptor = { mediaType: MEDIA_TYPES.ociLayerGzip, digest, size: 3 };
const manifest = {
  schemaVersion: 2,
  config: { ...descriptor, mediaType: MEDIA_TYPES.ociConfig },
  layers: [descriptor],
};
const index = { schemaVersion: 2, manifests: [{ ...descriptor, platform: { os: 'linux', architecture: 'amd64' } }] };
const bytes = (value: unknown): Uint8Array => Buffer.from(typeof value === 'string' ? value : JSON.stringify(value));
const codeOf = (run: () => unknown): string => {
  try {
    run();
  } catch (error) {
    if (error instanceof BuildError) return `${error.code}: ${error.message}`;
    throw error;
  }
  return 'no error';
};

test('a manifest is read with the fields that are known', () => {
  const read = parseManifest(bytes({ ...manifest, annotations: { a: 'b' }, extra: 1 }));
  expect(read).toEqual({ ...manifest, annotations: { a: 'b' } });
});

test('an index is read; null counts as absent', () => {
  expect(parseIndex(bytes({ ...index, annotations: null }))).toEqual(index);
  expect(parseManifest(bytes({ ...manifest, layers: null })).layers).toEqual([]);
});

test('the media type decides, else the shape does', () => {
  expect(parseDocument(bytes(manifest), MEDIA_TYPES.dockerManifest, { name: 'x' }).mediaType).toBe(
    MEDIA_TYPES.dockerManifest,
  );
  expect(parseDocument(bytes(index), 'application/json', { name: 'x' })).toMatchObject({ kind: 'index' });
});

describe('hostile documents', () => {
  test.each<[string, unknown, string | undefined, string]>([
    ['no JSON', '{', undefined, 'registry: x cannot be used: it is not JSON'],
    ['an array', [], undefined, '"document"'],
    ['null', 'null', undefined, '"document"'],
    ['schema 1', { schemaVersion: 1 }, undefined, 'unsupported:'],
    ['no schema', {}, undefined, 'schemaVersion'],
    ['both (CVE-2021-41190)', { ...manifest, ...index }, undefined, 'both layers and manifests'],
    ['an index served as a manifest', index, MEDIA_TYPES.ociManifest, 'not what its media type'],
    ['a manifest served as an index', manifest, MEDIA_TYPES.ociIndex, 'not what its media type'],
    [
      'another type inside',
      { ...manifest, mediaType: MEDIA_TYPES.ociManifest },
      MEDIA_TYPES.dockerManifest,
      'was served as',
    ],
    ['a config that is a string', { ...manifest, config: 'x' }, undefined, '"config"'],
    ['no config', { schemaVersion: 2, layers: [] }, undefined, '"config"'],
    [
      'a digest with a path',
      { ...manifest, layers: [{ ...descriptor, digest: 'sha256:../../etc/passwd' }] },
      undefined,
      '"layers[0].digest"',
    ],
    ['a negative size', { ...manifest, layers: [{ ...descriptor, size: -1 }] }, undefined, '"layers[0].size"'],
    ['a size out of range', { ...manifest, layers: [{ ...descriptor, size: 1e300 }] }, undefined, '"layers[0].size"'],
    ['a size as text', { ...manifest, layers: [{ ...descriptor, size: '3' }] }, undefined, '"layers[0].size"'],
    ['too many layers', { ...manifest, layers: Array(1001).fill(descriptor) }, undefined, 'more than 1000'],
    ['annotations that are no strings', { ...manifest, annotations: { a: 1 } }, undefined, '"annotations.a"'],
    ['too large', `"${'a'.repeat(4 * 1024 * 1024)}"`, undefined, 'larger than'],
  ])('%s', (_, value, mediaType, message) => {
    expect(codeOf(() => parseDocument(bytes(value), mediaType, { name: 'x' }))).toContain(message);
  });

  test('a label called __proto__ stays a label', () => {
    const config = parseImageConfig(
      bytes('{"os":"linux","architecture":"amd64","config":{"Labels":{"__proto__":"x"}}}'),
    );
    expect(Object.keys(config.config?.Labels ?? {})).toEqual(['__proto__']);
    expect(({} as Record<string, unknown>)['x']).toBeUndefined();
  });

  test('no JSON value makes anything but a BuildError', () => {
    fc.assert(
      fc.property(
        fc.jsonValue(),
        fc.constantFrom('config', 'layers', 'manifests', 'history', 'rootfs'),
        (value, key) => {
          codeOf(() => parseDocument(bytes({ schemaVersion: 2, [key]: value }), undefined, { name: 'x' }));
          codeOf(() => parseImageConfig(bytes({ [key]: value })));
        },
      ),
    );
  });
});

test('an image config as Docker writes it', () => {
  const config = {
    architecture: 'amd64',
    os: 'linux',
    config: {
      Env: ['A=b'],
      Cmd: null,
      ExposedPorts: { '80/tcp': {} },
      Healthcheck: { Test: ['NONE'], Interval: 30e9 },
    },
    rootfs: { type: 'layers', diff_ids: [digest] },
    history: [{ created_by: 'x', empty_layer: true }],
    'moby.buildkit.cache.v0': 'x',
  };
  expect(parseImageConfig(bytes(config))).toEqual({
    architecture: 'amd64',
    os: 'linux',
    config: { Env: ['A=b'], ExposedPorts: { '80/tcp': {} }, Healthcheck: { Test: ['NONE'], Interval: 30e9 } },
    rootfs: { type: 'layers', diff_ids: [digest] },
    history: [{ created_by: 'x', empty_layer: true }],
  });
});
