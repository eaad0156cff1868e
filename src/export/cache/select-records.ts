import type { LayerId, Snapshot, SolvedRecord } from '../../contracts/index.ts';
import type { CacheMode, CachedBuild } from './target.ts';

/**
 * The records of a build that are worth keeping, those of the result first.
 *
 * `min`: what the result is made of, step by step. `max`: also what ran for it. A copy that neither the result nor a
 * command stands on is made again from what it copied sooner than fetched, and is left out.
 */
export function selectRecords({ records, result }: CachedBuild, mode: CacheMode): readonly SolvedRecord[] {
  const own = records.filter(({ snapshots }) => snapshots.every((snapshot) => isBelow(snapshot, result)));
  if (mode === 'min') return own;
  const used = new Set<LayerId>();
  const use = ({ layers }: Snapshot): void => layers.forEach(({ id }) => used.add(id));
  use(result);
  for (const { kind, snapshots } of records) if (isDear(kind)) snapshots.forEach(use);
  const others = records.filter(
    (record) =>
      !own.includes(record) &&
      (isDear(record.kind) ||
        record.snapshots.every(({ layers }) => {
          const top = layers.at(-1);
          return top !== undefined && used.has(top.id);
        })),
  );
  return [...own, ...others];
}

/** Commands, and downloads. */
function isDear(kind: SolvedRecord['kind']): boolean {
  return kind === 'exec' || kind === 'source';
}

/** Whether the result has all of its layers, from the bottom. */
export function isBelow(snapshot: Snapshot, result: Snapshot): boolean {
  return !snapshot.inPlace && snapshot.layers.every(({ id }, i) => result.layers[i]?.id === id);
}

/** How inputs counted, as it travels. */
export function portableInputs({ inputs }: SolvedRecord) {
  return inputs.map(({ content, record }) => (content === undefined ? { record: record ?? '' } : { content }));
}
