import { crc32 } from 'node:zlib';
import type { Digest } from '../../contracts/index.ts';
import { STAT } from '../../sys/stat.ts';

/**
 * What was found out about files of a build context, by inode: a record counts only while device, inode, size, mtime and
 * ctime are exactly the same. Paths play no part, so a renamed directory costs nothing.
 *
 * On disk and in memory the same bytes, so that loading is one read: a header, then fixed records in no order.
 *
 *     header  u32 magic, version, generation, count, crc32 of the records, 0, 0, 0
 *     record  f64 device, size, mtime, ctime; u32 inode low, inode high, mtime ns, ctime ns, flags, generation;
 *             32 bytes sha256
 */
export interface StatCache {
  /**
   * The record of a file as it is now: the one that is there, or a fresh one in its place. What this process was handed
   * stays what it is, whatever becomes of the file.
   *
   * @param stats As `lstatInto` writes them, those of the file from `at`; from the start of their buffer.
   */
  record(stats: Float64Array, at: number): number;
  hasDigest(record: number): boolean;
  /** Content digest, if known. */
  digest(record: number): Digest | undefined;
  /**
   * @param asOf Milliseconds since the epoch, before the file was opened. A file that changed only just before may change
   *   again without its times telling: what was found out is good for this process, and is not written.
   */
  setDigest(record: number, digest: Uint8Array, asOf: number): void;
  /** True when the file is known to have no extended attributes that matter. */
  isPlain(record: number): boolean;
  setPlain(record: number, asOf: number): void;
  /** Whether there is something worth writing. */
  readonly changed: boolean;
  /** Parts of one text of bytes: views, good until the cache is asked something else. */
  encode(): readonly Uint8Array[];
}

const MAGIC = 0x43535753; // "SWSC"; also tells the byte order
const VERSION = 1;
const HEADER = 32;
const RECORD = 88;
const F64 = RECORD / 8;
const U32 = RECORD / 4;
// Offsets in u32.
const INO_LOW = 8;
const INO_HIGH = 9;
const MTIME_NSEC = 10;
const CTIME_NSEC = 11;
const FLAGS = 12;
const GENERATION = 13;
/** Offset in bytes. */
const DIGEST = 56;

const HASHED = 1;
const PLAIN = 2;
/** Not to be written. */
const VOLATILE = 4;
/** A later state of the same file has a record of its own. */
const REPLACED = 8;

/** Kernels stamp times at timer ticks, up to 10 ms apart. Milliseconds, with room for slow clocks. */
const TICK = 50;
/** FAT and some network file systems keep whole seconds, or two. */
const COARSE_TICK = 2500;
/** A record that no build has used in so many writes is dropped. */
const GENERATIONS_KEPT = 16;

/** @param bytes What {@link StatCache.encode} made; undefined or damaged = empty. */
export function createStatCache(bytes?: Uint8Array): StatCache {
  const loaded = bytes === undefined ? undefined : readRecords(bytes);
  let count = loaded?.count ?? 0;
  const generation = ((loaded?.generation ?? 0) + 1) >>> 0;
  // What was loaded is used where it is until there are more.
  let capacity = loaded === undefined ? 1024 : count;
  let u8 = loaded?.records ?? new Uint8Array(capacity * RECORD);
  let u32: Uint32Array = new Uint32Array(0);
  let f64: Float64Array = new Float64Array(0);
  let buffer: Buffer = Buffer.alloc(0);
  function setViews(): void {
    buffer = Buffer.from(u8.buffer, u8.byteOffset, u8.byteLength);
    u32 = new Uint32Array(u8.buffer, u8.byteOffset, u8.byteLength / 4);
    f64 = new Float64Array(u8.buffer, u8.byteOffset, u8.byteLength / 8);
  }
  let changed = false;

  // Open addressing by inode; 0 = free, else record + 1.
  let slots = new Uint32Array(0);
  function rebuildSlots(): void {
    let size = 4096;
    while (size < capacity * 1.5) size *= 2;
    slots = new Uint32Array(size);
    for (let record = 0; record < count; record++) {
      const at = record * U32;
      // A state of a file that another one followed.
      if ((flagsOf(record) & REPLACED) !== 0) continue;
      slots[freeSlot(u32[at + INO_LOW] ?? 0, u32[at + INO_HIGH] ?? 0)] = record + 1;
    }
  }
  function firstSlot(inoLow: number, inoHigh: number): number {
    return (Math.imul(inoLow ^ inoHigh, 0x9e3779b1) >>> 8) & (slots.length - 1);
  }
  function freeSlot(inoLow: number, inoHigh: number): number {
    let slot = firstSlot(inoLow, inoHigh);
    while (slots[slot] !== 0) slot = (slot + 1) & (slots.length - 1);
    return slot;
  }
  setViews();
  rebuildSlots();

  function grow(): void {
    capacity = Math.ceil(capacity * 1.5) + 1024;
    const old = u8;
    u8 = new Uint8Array(capacity * RECORD);
    u8.set(old);
    setViews();
    rebuildSlots();
  }

  /** The numbers of the last `stats`, for their inodes. */
  let halves: Uint32Array = new Uint32Array(0);

  function flagsOf(record: number): number {
    return u32[record * U32 + FLAGS] ?? 0;
  }
  function addFlag(record: number, flag: number, asOf: number): void {
    const at = record * U32;
    const nanoseconds = u32[at + CTIME_NSEC] ?? 0;
    const ctime = (f64[record * F64 + 3] ?? 0) * 1000 + nanoseconds / 1e6;
    const tick = nanoseconds === 0 ? COARSE_TICK : TICK;
    u32[at + FLAGS] = flagsOf(record) | flag | (ctime > asOf - tick ? VOLATILE : 0);
    changed = true;
  }

  return {
    get changed() {
      return changed;
    },
    record(stats, from) {
      if (halves.buffer !== stats.buffer) halves = new Uint32Array(stats.buffer);
      const inoLow = halves[(from + STAT.ino) * 2] ?? 0;
      const inoHigh = halves[(from + STAT.ino) * 2 + 1] ?? 0;
      const dev = stats[from + STAT.dev];
      let slot = firstSlot(inoLow, inoHigh);
      for (;;) {
        const found = slots[slot] ?? 0;
        if (found === 0) break;
        const w = (found - 1) * U32;
        const d = (found - 1) * F64;
        if (u32[w + INO_LOW] === inoLow && u32[w + INO_HIGH] === inoHigh && f64[d] === dev) {
          const same =
            f64[d + 1] === stats[from + STAT.size] &&
            f64[d + 2] === stats[from + STAT.mtime] &&
            f64[d + 3] === stats[from + STAT.ctime] &&
            u32[w + MTIME_NSEC] === stats[from + STAT.mtimeNsec] &&
            u32[w + CTIME_NSEC] === stats[from + STAT.ctimeNsec];
          if (same) {
            u32[w + GENERATION] = generation;
            return found - 1;
          }
          changed = true;
          if (u32[w + GENERATION] === generation) {
            u32[w + FLAGS] = flagsOf(found - 1) | VOLATILE | REPLACED;
            break;
          }
          write(found - 1, stats, from, inoLow, inoHigh);
          return found - 1;
        }
        slot = (slot + 1) & (slots.length - 1);
      }
      if (count === capacity) {
        grow();
        slot = freeSlot(inoLow, inoHigh);
      }
      slots[slot] = count + 1;
      write(count, stats, from, inoLow, inoHigh);
      return count++;
    },
    hasDigest: (record) => (flagsOf(record) & HASHED) !== 0,
    digest(record) {
      if ((flagsOf(record) & HASHED) === 0) return undefined;
      const at = record * RECORD + DIGEST;
      return `sha256:${buffer.toString('hex', at, at + 32)}`;
    },
    setDigest(record, digest, asOf) {
      u8.set(digest, record * RECORD + DIGEST);
      addFlag(record, HASHED, asOf);
    },
    isPlain: (record) => (flagsOf(record) & PLAIN) !== 0,
    setPlain: (record, asOf) => addFlag(record, PLAIN, asOf),
    encode() {
      const parts: Uint8Array[] = [];
      let kept = 0;
      let sum = 0;
      // Mostly all is kept: what lies together is one part.
      let from = 0;
      for (let record = 0; record <= count; record++) {
        if (record < count && isKept(record)) continue;
        if (record > from) {
          const part = u8.subarray(from * RECORD, record * RECORD);
          parts.push(part);
          sum = crc32(part, sum);
          kept += record - from;
        }
        from = record + 1;
      }
      const header = Uint32Array.of(MAGIC, VERSION, generation, kept, sum, 0, 0, 0);
      return [new Uint8Array(header.buffer), ...parts];
    },
  };

  function isKept(record: number): boolean {
    const flags = flagsOf(record);
    const age = generation - (u32[record * U32 + GENERATION] ?? 0);
    return (flags & (HASHED | PLAIN)) !== 0 && (flags & VOLATILE) === 0 && age <= GENERATIONS_KEPT && age >= 0;
  }

  function write(record: number, stats: Float64Array, from: number, inoLow: number, inoHigh: number): void {
    const d = record * F64;
    const w = record * U32;
    f64[d] = stats[from + STAT.dev] ?? 0;
    f64[d + 1] = stats[from + STAT.size] ?? 0;
    f64[d + 2] = stats[from + STAT.mtime] ?? 0;
    f64[d + 3] = stats[from + STAT.ctime] ?? 0;
    u32[w + INO_LOW] = inoLow;
    u32[w + INO_HIGH] = inoHigh;
    u32[w + MTIME_NSEC] = stats[from + STAT.mtimeNsec] ?? 0;
    u32[w + CTIME_NSEC] = stats[from + STAT.ctimeNsec] ?? 0;
    u32[w + FLAGS] = 0;
    u32[w + GENERATION] = generation;
  }
}

function readRecords(bytes: Uint8Array): { records: Uint8Array; count: number; generation: number } | undefined {
  if (bytes.length < HEADER) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const header = (index: number): number => view.getUint32(index * 4, true);
  const count = header(3);
  if (header(0) !== MAGIC || header(1) !== VERSION || bytes.length !== HEADER + count * RECORD) return undefined;
  let records = bytes.subarray(HEADER);
  if (records.byteOffset % 8 !== 0) records = records.slice();
  if (crc32(records) !== header(4)) return undefined;
  return { records, count, generation: header(2) };
}
