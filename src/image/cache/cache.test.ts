import { expect, test } from 'vitest';
import type { Digest } from '../../contracts/index.ts';
import { digestOf } from '../chain-id.ts';
import { CACHE_CONFIG, decodeCacheConfig, encodeCacheConfig } from './cache-config.ts';
import { INLINE_CACHE, decodeInlineCache, encodeInlineCache } from './inline-cache.ts';
import type { PortableCache } from './types.ts';

const digest = (text: string): Digest => digestOf(text);
const key = (kind: 'd' | 'k' | 'r', text: string) => `${kind}1-${digestOf(text).slice(7)}`;
const gzip = 'application/vnd.oci.image.layer.v1.tar+gzip';
const blob = (name: string) => ({ mediaType: gzip, digest: digest(name), size: name.length });
const subject = { name: 'the cache' };

const cache: PortableCache = {
  layers: [
    { diffId: digest('base'), blob: undefined, created: undefined },
    { diffId: digest('a'), blob: blob('a.gz'), created: Date.UTC(2024, 0, 1) },
    {
      diffId: digest('b'),
      blob: blob('b.gz'),
      created: Date.UTC(2024, 0, 2),
      bounded: { epoch: 1_700_000_000, as: { diffId: digest('b bounded'), blob: blob('b-bounded.gz') } },
    },
  ],
  records: [
    {
      key: key('r', 'one'),
      lookup: key('k', 'one'),
      definition: key('d', 'one'),
      created: Date.UTC(2024, 0, 1),
      inputs: [{ record: key('r', 'image') }, { content: digest('files') }],
      outputs: [[0, 1]],
    },
    {
      key: key('r', 'two'),
      lookup: key('k', 'two'),
      definition: key('d', 'two'),
      created: Date.UTC(2024, 0, 2),
      inputs: [{ record: key('r', 'one') }],
      outputs: [[0, 1, 2], [], [2]],
    },
  ],
};
const held = [blob('a.gz'), blob('b.gz'), blob('b-bounded.gz')];

/** Records with their layers by diff ID, as indices may differ. */
function byDiffId({ layers, records }: PortableCache) {
  return records.map((record) => ({
    ...record,
    outputs: record.outputs.map((chain) => chain.map((index) => layers[index])),
  }));
}

test('comes back as it was', () => {
  const decoded = decodeCacheConfig(encodeCacheConfig(cache), held, subject);
  expect(decoded === undefined ? [] : byDiffId(decoded)).toEqual(byDiffId(cache));
});

test('has the shape of a cache of BuildKit', () => {
  expect(CACHE_CONFIG).toBe('application/vnd.buildkit.cacheconfig.v0');
  const document = JSON.parse(Buffer.from(encodeCacheConfig(cache)).toString()) as Record<string, unknown>;
  expect(document['layers']).toEqual([
    { parent: -1, annotations: { diffID: digest('base') } },
    {
      blob: digest('a.gz'),
      parent: 0,
      annotations: { mediaType: gzip, diffID: digest('a'), size: 4, createdAt: '2024-01-01T00:00:00.000Z' },
    },
    {
      blob: digest('b.gz'),
      parent: 1,
      annotations: { mediaType: gzip, diffID: digest('b'), size: 4, createdAt: '2024-01-02T00:00:00.000Z' },
      slipway: { epoch: 1_700_000_000, blob: digest('b-bounded.gz'), mediaType: gzip, diffID: digest('b bounded') },
    },
    expect.objectContaining({ blob: digest('b.gz'), parent: -1 }),
  ]);
  expect(document['records']).toMatchObject([
    { digest: digestOf('one'), layers: [{ layer: 1, createdAt: '2024-01-01T00:00:00.000Z' }] },
    { digest: digestOf('two'), layers: [{ layer: 2 }], inputs: [[{ link: 0 }]] },
  ]);
});

test('what another tool made is not ours, and no error', () => {
  const buildkit = { layers: [{ blob: digest('x'), parent: -1 }], records: [{ digest: digest('y') }] };
  expect(decodeCacheConfig(Buffer.from(JSON.stringify(buildkit)), [], subject)).toBeUndefined();
});

/** The document with one thing changed. */
function changed(change: (document: Hostile) => void): Uint8Array {
  const document = JSON.parse(Buffer.from(encodeCacheConfig(cache)).toString()) as Hostile;
  change(document);
  return Buffer.from(JSON.stringify(document));
}
interface Hostile {
  layers: { blob?: unknown; parent?: unknown; annotations: Record<string, unknown>; slipway?: unknown }[];
  records: { slipway: Record<string, unknown> }[];
  slipway: Record<string, unknown>;
}

test.each<[string, (document: Hostile) => void, RegExp]>([
  ['a blob that its manifest does not hold', ({ layers }) => (at(layers, 1).blob = digest('foreign')), /does not hold/],
  [
    'a bounded blob that its manifest does not hold',
    ({ layers }) => (at(layers, 2).slipway = { epoch: 1, blob: digest('foreign'), diffID: digest('x') }),
    /does not hold/,
  ],
  ['an epoch that is none', ({ layers }) => (at(layers, 2).slipway = { epoch: 'now' }), /epoch/],
  ['a digest that is none', ({ layers }) => (at(layers, 1).blob = '../../etc/passwd'), /sha256/],
  ['a diff ID that is none', ({ layers }) => (at(layers, 1).annotations['diffID'] = 'sha256:1'), /diffID/],
  ['a ring of parents', ({ layers }) => (at(layers, 0).parent = 1), /points nowhere/],
  ['a layer that is its own parent', ({ layers }) => (at(layers, 1).parent = 1), /points nowhere/],
  ['an output out of range', ({ records }) => (at(records, 0).slipway['outputs'] = [99]), /points nowhere/],
  ['an output that is no number', ({ records }) => (at(records, 0).slipway['outputs'] = ['0']), /integer/],
  ['a key of another form', ({ records }) => (at(records, 0).slipway['key'] = 'r1-"; DROP TABLE'), /valid key/],
  ['a key of another kind', ({ records }) => (at(records, 0).slipway['lookup'] = key('r', 'x')), /valid key/],
  ['an input that is no key', ({ records }) => (at(records, 0).slipway['inputs'] = ['x']), /valid input/],
  ['a time that is none', ({ records }) => (at(records, 0).slipway['createdAt'] = 'yesterday'), /valid time/],
  ['another version', ({ slipway }) => (slipway['version'] = 2), /version 2/],
  ['records that are no list', (document) => ((document as { records: unknown }).records = {}), /array/],
])('refuses %s', (_, change, message) => {
  expect(() => decodeCacheConfig(changed(change), held, subject)).toThrow(
    expect.objectContaining({ code: 'hostile', message: expect.stringMatching(message) as string }),
  );
});

test('refuses chains that would fill memory', () => {
  const bytes = changed((document) => {
    document.layers = Array.from({ length: 1001 }, (_, i) => ({
      parent: i - 1,
      annotations: { diffID: digest(String(i)) },
    }));
    at(document.records, 0).slipway['outputs'] = [1000];
  });
  expect(() => decodeCacheConfig(bytes, held, subject)).toThrow(/too many layers/);
});

const inline = encodeInlineCache(
  cache.records.slice(0, 1).map((record) => ({ ...record, layers: 2 })),
  [undefined, Date.UTC(2024, 0, 1)],
);
const inlineBounded = { ...inline, epoch: 1_700_000_000 };
const image = { rootfs: { type: 'layers', diff_ids: [digest('base'), digest('a')] }, [INLINE_CACHE]: inline };
const layers = [blob('base.gz'), blob('a.gz')];

test('comes back out of the config of an image', () => {
  const decoded = decodeInlineCache(Buffer.from(JSON.stringify(image)), layers, subject);
  expect(decoded).toEqual({
    layers: [
      { diffId: digest('base'), blob: blob('base.gz'), created: undefined },
      { diffId: digest('a'), blob: blob('a.gz'), created: Date.UTC(2024, 0, 1) },
    ],
    records: [{ ...cache.records[0], outputs: [[0, 1]] }],
  });
});

test('says that its layers are bounded', () => {
  const decoded = decodeInlineCache(
    Buffer.from(JSON.stringify({ ...image, [INLINE_CACHE]: inlineBounded })),
    layers,
    subject,
  );
  expect(decoded?.layers[1]?.bounded).toEqual({ epoch: 1_700_000_000, as: undefined });
});

test('an image without a cache has none', () => {
  expect(decodeInlineCache(Buffer.from('{"rootfs":{"diff_ids":[]}}'), [], subject)).toBeUndefined();
});

test.each<[string, object]>([
  ['more layers than its manifest', { ...image, rootfs: { diff_ids: [digest('base')] } }],
  [
    'a result of more layers than there are',
    { ...image, [INLINE_CACHE]: { ...inline, records: [{ ...first(), layers: 3 }] } },
  ],
  ['no list of times', { ...image, [INLINE_CACHE]: { ...inline, created: undefined } }],
])('refuses an image with %s', (_, document) => {
  expect(() => decodeInlineCache(Buffer.from(JSON.stringify(document)), layers, subject)).toThrow(
    expect.objectContaining({ code: 'hostile' }),
  );
});

function first(): object {
  return (inline['records'] as readonly object[])[0] ?? {};
}

function at<T>(list: readonly T[], index: number): T {
  const item = list[index];
  if (item === undefined) throw new Error(`nothing at ${index}`);
  return item;
}
