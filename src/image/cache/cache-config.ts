/**
 * The config of a cache artifact, in the shape of BuildKit's (cache/remotecache/v1/types/spec.go), so that registries and
 * tools that know build caches take it for one. Our keys are not BuildKit's, so it finds nothing in it; ours are in
 * fields named `slipway`, which it skips. docs/cache-export.md is the specification.
 *
 * A chain of layers is its topmost entry: each names its parent, which stands before it.
 */
import { CONFIG_SIZE_MAX } from '../documents.ts';
import { JsonReader, compact } from '../json.ts';
import type { Subject } from '../json.ts';
import type { Descriptor } from '../types.ts';
import {
  CACHE_VERSION,
  CHAIN_MAX,
  OUTPUTS_MAX,
  RECORDS_MAX,
  decodeEpoch,
  decodeFields,
  decodeIndex,
  decodeTime,
  encodeFields,
} from './record-fields.ts';
import type { BoundedLayer, PortableBlob, PortableCache, PortableLayer, PortableRecord } from './types.ts';

/** Media type of the config. */
export const CACHE_CONFIG = 'application/vnd.buildkit.cacheconfig.v0';

/** Entries of chains: every layer once for each chain of layers below it. */
const ENTRIES_MAX = 100_000;
/** Layers of all records together, each counted as often as it occurs. */
const TOTAL_MAX = 1_000_000;
/** As BuildKit's `parent`. */
const NO_PARENT = -1;

export function encodeCacheConfig({ layers, records }: PortableCache): Uint8Array {
  const entries: object[] = [];
  const known = new Map<string, number>();
  const entryOf = (index: number, parent: number): number => {
    const name = `${index} ${parent}`;
    let at = known.get(name);
    if (at === undefined) {
      at = entries.push(encodeLayer(layers[index], parent)) - 1;
      known.set(name, at);
    }
    return at;
  };
  const positions = new Map(records.map(({ key }, i) => [key, i]));
  const encoded = records.map((record) => {
    const tops = record.outputs.map((chain) => chain.reduce((parent, index) => entryOf(index, parent), NO_PARENT));
    const createdAt = new Date(record.created).toISOString();
    return compact({
      digest: `sha256:${record.key.slice(record.key.indexOf('-') + 1)}`,
      layers: tops.slice(0, 1).flatMap((layer) => (layer === NO_PARENT ? [] : [{ layer, createdAt }])),
      inputs: linksOf(record, positions),
      slipway: { ...encodeFields(record), createdAt, outputs: tops },
    });
  });
  return Buffer.from(JSON.stringify({ layers: entries, records: encoded, slipway: { version: CACHE_VERSION } }));
}

function encodeLayer(layer: PortableLayer | undefined, parent: number): object {
  if (layer === undefined) throw new RangeError('no such layer');
  const { diffId, blob, created, bounded } = layer;
  return compact({
    blob: blob?.digest,
    parent,
    annotations: compact({
      mediaType: blob?.mediaType,
      diffID: diffId,
      size: blob?.size,
      createdAt: created === undefined ? undefined : new Date(created).toISOString(),
    }),
    slipway:
      bounded === undefined
        ? undefined
        : compact({
            epoch: bounded.epoch,
            blob: bounded.as?.blob.digest,
            mediaType: bounded.as?.blob.mediaType,
            diffID: bounded.as?.diffId,
          }),
  });
}

/** For BuildKit's readers: which records a record was made on. */
function linksOf({ inputs }: PortableRecord, positions: ReadonlyMap<string, number>) {
  const links = inputs.map((input) => {
    const link = 'record' in input ? positions.get(input.record) : undefined;
    return link === undefined ? [] : [{ link }];
  });
  return links.some((list) => list.length > 0) ? links : undefined;
}

/**
 * @param held Descriptors of the artifact: a blob that is none of them is not the cache's to give.
 * @returns Undefined for a cache that another tool made.
 * @throws BuildError `hostile` (or `subject.code`) for anything that cannot be a cache of ours.
 */
export function decodeCacheConfig(
  bytes: Uint8Array,
  held: readonly Descriptor[],
  subject: Subject,
): PortableCache | undefined {
  const json = new JsonReader({ code: 'hostile', ...subject });
  const root = json.object(json.parse(bytes, CONFIG_SIZE_MAX), 'document');
  if (root['slipway'] === undefined) return undefined;
  const version = json.object(root['slipway'], 'slipway')['version'];
  if (version !== CACHE_VERSION)
    throw json.fail(`is of version ${String(version)}, made by another version of slipway`);

  const blobs = new Map(held.map((descriptor) => [descriptor.digest, descriptor]));
  const parents: number[] = [];
  const layers = json.array(root['layers'], 'layers', ENTRIES_MAX).map((item, i): PortableLayer => {
    const at = `layers[${i}]`;
    const object = json.object(item, at);
    const parent = json.integer(object['parent'], `${at}.parent`) ?? 0;
    // Only backwards, so there are no rings.
    parents.push(parent === NO_PARENT ? NO_PARENT : decodeIndex(json, parent, i, `${at}.parent`));
    return decodeLayer(json, object, at, blobs);
  });
  let total = 0;
  const chainOf = (top: number): readonly number[] => {
    const chain: number[] = [];
    for (let at = top; at !== NO_PARENT; at = parents[at] ?? NO_PARENT) chain.push(at);
    total += chain.length;
    if (chain.length > CHAIN_MAX || total > TOTAL_MAX) throw json.fail('has chains of too many layers');
    return chain.reverse();
  };
  const records = json.array(root['records'], 'records', RECORDS_MAX).map((item, i): PortableRecord => {
    const at = `records[${i}].slipway`;
    const object = json.object(json.object(item, `records[${i}]`)['slipway'], at);
    return {
      ...decodeFields(json, object, at),
      created: decodeTime(json, object['createdAt'], `${at}.createdAt`) ?? 0,
      outputs: json.array(object['outputs'], `${at}.outputs`, OUTPUTS_MAX).map((top, o) => {
        if (top === NO_PARENT) return [];
        return chainOf(decodeIndex(json, top, parents.length, `${at}.outputs[${o}]`));
      }),
    };
  });
  return { layers, records };
}

function decodeLayer(
  json: JsonReader,
  object: Readonly<Record<string, unknown>>,
  at: string,
  held: ReadonlyMap<string, Descriptor>,
): PortableLayer {
  const annotations = json.object(object['annotations'], `${at}.annotations`);
  const diffId = json.digest(annotations['diffID'], `${at}.annotations.diffID`);
  const created = decodeTime(json, annotations['createdAt'], `${at}.annotations.createdAt`);
  if (object['blob'] === undefined) return { diffId, blob: undefined, created };
  const blob = decodeBlob(json, object['blob'], annotations['mediaType'], at, held);
  return { diffId, created, blob, bounded: decodeBounded(json, object['slipway'], `${at}.slipway`, held) };
}

function decodeBounded(
  json: JsonReader,
  value: unknown,
  at: string,
  held: ReadonlyMap<string, Descriptor>,
): BoundedLayer | undefined {
  if (value === undefined) return undefined;
  const object = json.object(value, at);
  const epoch = decodeEpoch(json, object['epoch'], `${at}.epoch`);
  if (epoch === undefined) return undefined;
  if (object['blob'] === undefined) return { epoch, as: undefined };
  const diffId = json.digest(object['diffID'], `${at}.diffID`);
  return { epoch, as: { diffId, blob: decodeBlob(json, object['blob'], object['mediaType'], at, held) } };
}

function decodeBlob(
  json: JsonReader,
  value: unknown,
  mediaType: unknown,
  at: string,
  held: ReadonlyMap<string, Descriptor>,
): PortableBlob {
  const digest = json.digest(value, `${at}.blob`);
  const descriptor = held.get(digest);
  if (descriptor === undefined) throw json.fail(`names ${digest}, which its manifest does not hold`);
  const type = json.optionalString(mediaType, `mediaType in ${at}`);
  return { mediaType: type ?? descriptor.mediaType, digest, size: descriptor.size };
}
