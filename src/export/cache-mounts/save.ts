import { rmSync } from 'node:fs';
import type { ExportContext, TreePath } from '../../contracts/index.ts';
import { encodeMountIndex, isSettled, readSynced, scanMount, stampOf, writeSynced } from '../../image/index.ts';
import type { MountIndex, ScannedMount } from '../../image/index.ts';
import type { Registry } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { openConfined } from '../../sys/confined.ts';
import { packMount } from './pack-mount.ts';
import type { PackedMount } from './pack-mount.ts';
import { sendMount } from './send-mount.ts';
import type { SaveMount, SavedMount } from './types.ts';

export interface SaveDeps {
  readonly store: Store;
  readonly registry: Registry;
  /** Called once the directory is not read any more: what follows only sends. */
  readonly release: () => void;
}

/**
 * Gives a cache mount to other machines: packs what no pack there holds, and sends that and the new index. What others added there
 * since this machine read it stays.
 *
 * @returns Undefined when nothing would be different there.
 * @throws BuildError `registry`, `auth`, `export`, `disk-full`, ...; what was there is untouched then.
 */
export async function saveMount(
  mount: SaveMount,
  { store, registry, release }: SaveDeps,
  context: ExportContext,
): Promise<SavedMount | undefined> {
  const { slot, name, current } = mount;
  const now = Date.now();
  let packed: PackedMount | undefined;
  try {
    const root = openConfined(`${slot}/fs`);
    let scanned: ScannedMount;
    let travelling: ScannedMount;
    let left: number;
    try {
      scanned = await scanMount(root, context.signal);
      const known = await readSynced(slot);
      const base = known?.root === inodeOf(scanned) ? known : undefined;
      ({ travelling, left } = withinSize(scanned, mount.maxSize));
      packed = await packMount({ root, scanned, travelling, base }, mount, store, context);
    } finally {
      root.close();
      release();
    }
    const { own, index, made } = packed;
    const isNews = current === undefined || made.length > 0 || !isEqual(index, current.index);
    const manifest = isNews ? await sendMount(mount, index, made, weigh(index), { registry }, context) : current.digest;
    const stamps = new Map<TreePath, string>();
    for (const [path, { stat }] of travelling) {
      if (stat.type !== 'directory' && own.has(path) && isSettled(stat, now)) stamps.set(path, stampOf(stat));
    }
    // Where others have added something, this machine has yet to get it.
    const isAll = own.size === index.entries.size;
    await writeSynced(slot, {
      place: name,
      manifest: isAll || current === undefined ? manifest : current.digest,
      index: { entries: own, packs: index.packs },
      root: inodeOf(scanned),
      stamps,
    });
    if (!isNews) return undefined;
    return { ...weigh(index), packed: made.reduce((sum, { size }) => sum + size, 0), left };
  } finally {
    for (const { path } of packed?.made ?? []) rmSync(path, { force: true });
  }
}

function inodeOf(scanned: ScannedMount): string {
  return String(scanned.get('')?.stat.ino ?? '');
}

/** The newest files that fit; links and directories always do. */
function withinSize(
  scanned: ScannedMount,
  maxSize: number | undefined,
): { readonly travelling: ScannedMount; readonly left: number } {
  if (maxSize === undefined) return { travelling: scanned, left: 0 };
  const files = [...scanned].filter(([, { stat }]) => stat.type === 'file');
  files.sort(([, a], [, b]) => lastUse(b.stat) - lastUse(a.stat));
  const dropped = new Set<TreePath>();
  let size = 0;
  for (const [path, { stat }] of files) {
    size += stat.size;
    if (size > maxSize) dropped.add(path);
  }
  return { travelling: new Map([...scanned].filter(([path]) => !dropped.has(path))), left: dropped.size };
}

/** Change time: programs may set the others to anything. */
function lastUse({ ctime, ctimeNsec }: { readonly ctime: number; readonly ctimeNsec: number }): number {
  return ctime + ctimeNsec / 1e9;
}

function weigh({ entries }: MountIndex): { readonly files: number; readonly bytes: number } {
  let files = 0;
  let bytes = 0;
  for (const entry of entries.values()) {
    if (entry.type !== 'file') continue;
    files++;
    bytes += entry.size;
  }
  return { files, bytes };
}

/** Times count: tools go by them. */
function isEqual(a: MountIndex, b: MountIndex): boolean {
  return a.entries.size === b.entries.size && Buffer.from(encodeMountIndex(a)).equals(encodeMountIndex(b));
}
