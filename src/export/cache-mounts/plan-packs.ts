import type { Digest } from '../../contracts/index.ts';
import type { MountPack } from '../../image/index.ts';

/** Bytes of a new pack; what is larger has one of its own. */
const PACK_SIZE = 8 << 20;
/** Packs of one mount at most, roughly: packs of a large mount are larger. */
const PACKS = 400;
/** A pack of which less than this is alive is packed again. */
const ALIVE = 0.5;
/** So many packs of less than a quarter of the usual size are let be. */
const SMALL_PACKS = 16;

/**
 * Which packs stay as they are: those of which enough is alive. Small ones, as every build adds one, are brought together once
 * there are many. A pack stays anyway when something alive is in it that is not here to be packed.
 *
 * @param alive Contents that the mount has.
 * @param here Of those, what can be read on this machine.
 */
export function keptPacks(
  packs: readonly MountPack[],
  alive: ReadonlyMap<Digest, number>,
  here: ReadonlySet<Digest>,
): readonly MountPack[] {
  const target = packSize(sum(alive.values()));
  const measured = packs.map((pack) => {
    const living = pack.contents.filter(({ digest }) => alive.has(digest));
    const raw = sum(pack.contents.map(({ size }) => size));
    return {
      pack,
      isLive: living.length > 0 && sum(living.map(({ size }) => size)) >= raw * ALIVE,
      isSmall: raw < target / 4,
      isNeeded: living.some(({ digest }) => !here.has(digest)),
    };
  });
  const hasMany = measured.filter(({ isLive, isSmall }) => isLive && isSmall).length > SMALL_PACKS;
  return measured
    .filter(({ isLive, isSmall, isNeeded }) => isNeeded || (isLive && !(isSmall && hasMany)))
    .map(({ pack }) => pack);
}

/** New packs for what no kept one holds, in the order given. */
export function groupContents<T extends { readonly size: number }>(
  items: readonly T[],
  total: number,
): readonly (readonly T[])[] {
  const target = packSize(total);
  const groups: T[][] = [];
  let group: T[] = [];
  let size = 0;
  for (const item of items) {
    if (item.size >= target) {
      groups.push([item]);
      continue;
    }
    if (size + item.size > target && group.length > 0) {
      groups.push(group);
      group = [];
      size = 0;
    }
    group.push(item);
    size += item.size;
  }
  if (group.length > 0) groups.push(group);
  return groups;
}

function packSize(total: number): number {
  return Math.max(PACK_SIZE, Math.ceil(total / PACKS));
}

function sum(numbers: Iterable<number>): number {
  let total = 0;
  for (const number of numbers) total += number;
  return total;
}
