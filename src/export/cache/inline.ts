import { INLINE_CACHE, encodeInlineCache, isBaseLayer, layerTime } from '../../image/index.ts';
import type { Store } from '../../store/index.ts';
import { portableInputs, selectRecords } from './select-records.ts';
import type { CachedBuild } from './target.ts';

/**
 * The field that an image's config gets for `type=inline`: whoever names the image in `--cache-from` finds the steps of its
 * own last stage. Always of mode `min`, as the image holds no other layers.
 */
export function inlineCache(build: CachedBuild, store: Store): Readonly<Record<string, unknown>> {
  const created = build.result.layers.map(({ id }) => {
    const row = store.layer(id);
    return row !== undefined && isBaseLayer(row, store) ? undefined : layerTime(id, store);
  });
  const records = selectRecords(build, 'min')
    .filter(({ snapshots }) => snapshots.length === 1)
    .map((record) => {
      const { key, lookup, definition, created: made } = record;
      const layers = record.snapshots[0]?.layers.length ?? 0;
      return { key, lookup, definition, created: made, inputs: portableInputs(record), layers };
    });
  return { [INLINE_CACHE]: encodeInlineCache(records, created, build.epoch) };
}
