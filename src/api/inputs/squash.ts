import { BuildError, type Snapshot } from '../../contracts/index.ts';
import { isBaseLayer, type HistoryEntry } from '../../image/index.ts';
import type { BuildOptions } from '../options.ts';
import type { Session } from '../session.ts';

export type SquashMode = NonNullable<BuildOptions['squash']>;

interface Squashed {
  readonly snapshot: Snapshot;
  readonly config: Readonly<Record<string, unknown>>;
}

/**
 * An image with the layers that were built (`new`) or with all layers (`all`) as one. The steps stay in its history, as
 * steps without a layer, below one that says what was done; so does `docker build --squash`.
 */
export async function squashImage(
  mode: SquashMode,
  { snapshot, config }: Squashed,
  { store, sources }: Pick<Session, 'store' | 'sources'>,
): Promise<Squashed> {
  const isBase = snapshot.layers.map(({ id }) => {
    const row = store.layer(id);
    return row !== undefined && isBaseLayer(row, store);
  });
  // Only what lies below everything of ours can stay as it is.
  const own = isBase.indexOf(false);
  const keep = mode === 'all' ? 0 : own === -1 ? isBase.length : own;
  const { squashLayers } = await (await import('../../worker/index.ts')).loadSquash();
  const squashed = await squashLayers(snapshot, keep, { store, sources });
  if (squashed === snapshot) return { snapshot, config };
  return { snapshot: squashed, config: { ...config, history: squashedHistory(config, keep, squashed, mode) } };
}

function squashedHistory(
  config: Readonly<Record<string, unknown>>,
  keep: number,
  { layers }: Snapshot,
  mode: SquashMode,
): readonly HistoryEntry[] {
  const history = Array.isArray(config['history']) ? (config['history'] as readonly HistoryEntry[]) : [];
  let kept = keep;
  const steps = history.map((entry): HistoryEntry => {
    if (entry.empty_layer === true) return entry;
    if (kept-- > 0) return entry;
    return { ...entry, empty_layer: true };
  });
  const added = layers.length > keep ? [{ created_by: `slipway build --squash=${mode}` }] : [];
  return [...steps, ...added];
}

/** @throws BuildError `usage` */
export function parseSquash(word: string | undefined): SquashMode | undefined {
  if (word === undefined || word === 'false') return undefined;
  if (word === '' || word === 'true' || word === 'new') return 'new';
  if (word === 'all') return 'all';
  throw new BuildError({
    code: 'usage',
    message: `--squash takes new or all, not ${JSON.stringify(word)}`,
    hint: 'new: the layers that this build adds; all: those of the base image too',
  });
}
