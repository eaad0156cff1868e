/**
 * A cache inside the config of the image that it is a cache of: its records, and of each how many of the image's layers
 * are its result. Blobs are those of the image's manifest.
 */
import { CONFIG_SIZE_MAX } from '../documents.ts';
import { JsonReader } from '../json.ts';
import type { Subject } from '../json.ts';
import type { Descriptor } from '../types.ts';
import {
  CACHE_VERSION,
  CHAIN_MAX,
  RECORDS_MAX,
  decodeEpoch,
  decodeFields,
  decodeTime,
  encodeFields,
} from './record-fields.ts';
import type { PortableCache, PortableLayer, PortableRecord } from './types.ts';

/** Field of the image config, beside BuildKit's `moby.buildkit.cache.v0`. */
export const INLINE_CACHE = 'slipway.cache.v1';

/**
 * The value of the field.
 *
 * @param records Whose outputs count layers of the image from the bottom.
 * @param created Of each layer of the image, milliseconds; undefined for those of its base.
 * @param epoch Seconds: no layer but those of the base has a later time.
 */
export function encodeInlineCache(
  records: readonly (Omit<PortableRecord, 'outputs'> & { readonly layers: number })[],
  created: readonly (number | undefined)[],
  epoch?: number,
): Readonly<Record<string, unknown>> {
  return {
    version: CACHE_VERSION,
    ...(epoch !== undefined && { epoch }),
    created: created.map((time) => (time === undefined ? '' : new Date(time).toISOString())),
    records: records.map((record) => ({
      ...encodeFields({ ...record, outputs: [] }),
      createdAt: new Date(record.created).toISOString(),
      layers: record.layers,
    })),
  };
}

/**
 * @param config Bytes of the image's config.
 * @param blobs Layers of the image's manifest.
 * @returns Undefined for an image without such a cache.
 * @throws BuildError `hostile` (or `subject.code`)
 */
export function decodeInlineCache(
  config: Uint8Array,
  blobs: readonly Descriptor[],
  subject: Subject,
): PortableCache | undefined {
  const json = new JsonReader({ code: 'hostile', ...subject });
  const root = json.object(json.parse(config, CONFIG_SIZE_MAX), 'document');
  const value = root[INLINE_CACHE];
  if (value === undefined || value === null) return undefined;
  const cache = json.object(value, INLINE_CACHE);
  if (cache['version'] !== CACHE_VERSION) throw json.fail(`has a cache of version ${String(cache['version'])}`);
  const diffIds = json
    .array(json.object(root['rootfs'], 'rootfs')['diff_ids'], 'rootfs.diff_ids', CHAIN_MAX)
    .map((item, i) => json.digest(item, `rootfs.diff_ids[${i}]`));
  const times = json.array(cache['created'], 'created', CHAIN_MAX);
  if (diffIds.length !== blobs.length || times.length !== blobs.length) {
    throw json.fail('names another number of layers than its manifest');
  }
  const epoch = decodeEpoch(json, cache['epoch'], 'epoch');
  const bounded = epoch === undefined ? undefined : { epoch, as: undefined };
  const layers = blobs.map(({ mediaType, digest, size }, i): PortableLayer => {
    const created = times[i] === '' ? undefined : decodeTime(json, times[i], `created[${i}]`);
    return { diffId: json.digest(diffIds[i], 'diff_ids'), blob: { mediaType, digest, size }, created, bounded };
  });
  const records = json.array(cache['records'], 'records', RECORDS_MAX).map((item, i): PortableRecord => {
    const at = `${INLINE_CACHE}.records[${i}]`;
    const object = json.object(item, at);
    const count = json.size(object['layers'], `${at}.layers`);
    if (count > layers.length) throw json.fail(`has more layers in ${at} than its image`);
    return {
      ...decodeFields(json, object, at),
      created: decodeTime(json, object['createdAt'], `${at}.createdAt`) ?? 0,
      outputs: [Array.from({ length: count }, (_, n) => n)],
    };
  });
  return { layers, records };
}
