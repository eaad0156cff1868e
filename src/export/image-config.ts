/**
 * What an exporter adds to an image's config: the layers' diff IDs and the times. Follows BuildKit's
 * exporter/containerimage/writer.go (normalizeLayersAndHistory, patchImageConfig).
 */
import type { Digest } from '../contracts/index.ts';
import type { HistoryEntry } from '../image/index.ts';
import { formatTime } from './time.ts';

export interface ConfigInput {
  readonly config: Readonly<Record<string, unknown>>;
  readonly platform: { readonly os: string; readonly architecture: string; readonly variant?: string | undefined };
  /** Bottom to top. */
  readonly layers: readonly {
    readonly diffId: Digest;
    /** Milliseconds; undefined for a base's. */ readonly created: number | undefined;
  }[];
  /** Seconds; times of our own that are later become it. */
  readonly epoch: number | undefined;
}

/** The config with `rootfs`, `created` and complete history. */
export function completeConfig({ config, platform, layers, epoch }: ConfigInput): Readonly<Record<string, unknown>> {
  const given = Array.isArray(config['history']) ? (config['history'] as readonly HistoryEntry[]) : [];
  const history = withTimes(withLayers(given, layers.length), layers, epoch);
  // As old as its last step; so an image that adds none is as old as its base, epoch or not.
  const created = config['created'] ?? lastTime(history);
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined ? {} : { variant: platform.variant }),
    ...config,
    ...(created === undefined ? {} : { created }),
    rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) },
    history,
  };
}

/** Sorted keys, as Go's encoder writes a map: the same config is the same bytes. */
export function encodeConfig(config: Readonly<Record<string, unknown>>): Buffer {
  const entries = Object.entries(config).filter(([, value]) => value !== undefined);
  return Buffer.from(JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1)))));
}

/** As many entries with a layer as there are layers; readers refuse anything else. */
function withLayers(history: readonly HistoryEntry[], layers: number): readonly HistoryEntry[] {
  let left = layers;
  const marked = history.map((entry): HistoryEntry => {
    if (entry.empty_layer === true) return entry;
    if (left === 0) return { ...entry, empty_layer: true };
    left--;
    return entry;
  });
  const missing: HistoryEntry = { created_by: 'created by slipway', comment: 'buildkit.exporter.image.v0' };
  return [...marked, ...Array.from({ length: left }, () => missing)];
}

/**
 * Entries that come without a time are ours. One with a layer takes the layer's; one without the time of the first new
 * layer, or of the layer before it.
 */
function withTimes(
  history: readonly HistoryEntry[],
  layers: ConfigInput['layers'],
  epoch: number | undefined,
): readonly HistoryEntry[] {
  const limit = epoch === undefined ? Number.POSITIVE_INFINITY : epoch * 1000;
  let layer = 0;
  const timed = history.map((entry): HistoryEntry => {
    const own = entry.empty_layer === true ? undefined : layers[layer++]?.created;
    return entry.created !== undefined || own === undefined
      ? entry
      : { ...entry, created: formatTime(Math.min(own, limit)) };
  });
  let time = firstNewTime(timed);
  const fallback = epoch === undefined ? undefined : formatTime(limit);
  let filling = false;
  return timed.map((entry, i) => {
    const isOurs = history[i]?.created === undefined;
    if (entry.created !== undefined) {
      if (filling) time = entry.created;
      return ordered(entry);
    }
    filling = true;
    const created = isOurs && fallback !== undefined ? fallback : time;
    return ordered(created === undefined ? entry : { ...entry, created });
  });
}

/** Of the first entry with a time after one without; else the last time there is. */
function firstNewTime(history: readonly HistoryEntry[]): string | undefined {
  let time: string | undefined;
  let missing = false;
  for (const { created } of history) {
    if (created === undefined) missing = true;
    else {
      time = created;
      if (missing) break;
    }
  }
  return time;
}

function lastTime(history: readonly HistoryEntry[]): string | undefined {
  return history.findLast(({ created }) => created !== undefined)?.created;
}

/** In the order of the specification. */
function ordered({ created, created_by, author, comment, empty_layer }: HistoryEntry): HistoryEntry {
  return {
    ...(created === undefined ? {} : { created }),
    ...(created_by === undefined ? {} : { created_by }),
    ...(author === undefined ? {} : { author }),
    ...(comment === undefined ? {} : { comment }),
    ...(empty_layer === true ? { empty_layer } : {}),
  };
}
