/**
 * The modules that a Go program was linked from (Go's debug/buildinfo): a block in the section `.go.buildinfo` of its ELF
 * file. Programs of Go before 1.18 hold pointers there instead; they are not read.
 */
import type { TreePath } from '../../../contracts/index.ts';
import type { FoundPackage } from './types.ts';

const MAGIC = Buffer.from('\xff Go buildinf:', 'latin1');
/** The block begins at a multiple of this. Bytes. */
const ALIGNMENT = 16;
const HEADER = 32;
/** In the flags: what follows the header are the texts themselves. */
const INLINE = 2;
/** Around the module text, so that it is found in the program's memory. Bytes. */
const SENTINEL = 16;
/** More sections than any linker makes. */
const SECTIONS_MAX = 4096;
/** Most of what is read of the data of one program. */
const SECTION_MAX = 4 << 20;

/** Reads `length` bytes at `offset`, fewer at the end. */
export type ReadAt = (offset: number, length: number) => Buffer;

export interface GoBuildInfo {
  /** As `go1.22.1`. */
  readonly goVersion: string;
  /** The lines of `go version -m`. */
  readonly modules: string;
}

/** Undefined for what is no ELF file or no Go program, damaged ones too. */
export function readGoBuildInfo(readAt: ReadAt): GoBuildInfo | undefined {
  const section = buildInfoSection(readAt);
  if (section === undefined) return undefined;
  const data = readAt(section.offset, Math.min(section.size, SECTION_MAX));
  for (let at = data.indexOf(MAGIC); at !== -1; at = data.indexOf(MAGIC, at + 1)) {
    if (at % ALIGNMENT !== 0 || ((data[at + 15] ?? 0) & INLINE) === 0) continue;
    const version = inlineText(data, at + HEADER);
    const modules = version === undefined ? undefined : inlineText(data, version.end);
    if (version === undefined || modules === undefined) return undefined;
    const text =
      modules.bytes.length < 2 * SENTINEL ? '' : modules.bytes.subarray(SENTINEL, -SENTINEL).toString('utf8');
    return { goVersion: version.bytes.toString('utf8'), modules: text };
  }
  return undefined;
}

/** A length as an unsigned varint, then as many bytes. */
function inlineText(data: Buffer, start: number): { readonly bytes: Buffer; readonly end: number } | undefined {
  let length = 0;
  let at = start;
  for (let factor = 1; ; factor *= 128) {
    const byte = data[at++];
    if (byte === undefined || at - start > 5) return undefined;
    length += (byte & 0x7f) * factor;
    if (byte < 0x80) break;
  }
  return at + length > data.length ? undefined : { bytes: data.subarray(at, at + length), end: at + length };
}

/** Of an ELF file of either width and byte order (System V ABI, gabi4+ ch. 4). */
function buildInfoSection(readAt: ReadAt): { readonly offset: number; readonly size: number } | undefined {
  const head = readAt(0, 64);
  if (head.length < 52 || head.readUInt32BE(0) !== 0x7f454c46) return undefined;
  const is64 = head[4] === 2;
  const isLittle = head[5] === 1;
  if (is64 && head.length < 64) return undefined;
  const u16 = (from: Buffer, at: number): number => (isLittle ? from.readUInt16LE(at) : from.readUInt16BE(at));
  const u32 = (from: Buffer, at: number): number => (isLittle ? from.readUInt32LE(at) : from.readUInt32BE(at));
  const word = (from: Buffer, at: number): number => {
    if (!is64) return u32(from, at);
    return Number(isLittle ? from.readBigUInt64LE(at) : from.readBigUInt64BE(at));
  };
  const tableAt = word(head, is64 ? 40 : 32);
  const [entrySize, count, namesIndex] = [58, 60, 62].map((at) => u16(head, is64 ? at : at - 12)) as [
    number,
    number,
    number,
  ];
  if (entrySize < (is64 ? 64 : 40) || count === 0 || count > SECTIONS_MAX || namesIndex >= count) return undefined;
  const table = readAt(tableAt, entrySize * count);
  if (table.length < entrySize * count) return undefined;
  const sectionAt = (index: number) => {
    const entry = table.subarray(index * entrySize, (index + 1) * entrySize);
    return { name: u32(entry, 0), offset: word(entry, is64 ? 24 : 16), size: word(entry, is64 ? 32 : 20) };
  };
  const names = sectionAt(namesIndex);
  const texts = readAt(names.offset, Math.min(names.size, SECTION_MAX));
  const wanted = Buffer.from('.go.buildinfo\0');
  for (let i = 0; i < count; i++) {
    const section = sectionAt(i);
    if (texts.subarray(section.name, section.name + wanted.length).equals(wanted)) return section;
  }
  return undefined;
}

/** The program's own module, what it was linked with, and the standard library. */
export function goPackages({ goVersion, modules }: GoBuildInfo, path: TreePath): readonly FoundPackage[] {
  const found: FoundPackage[] = [];
  for (const line of modules.split('\n')) {
    const [kind, name, version = ''] = line.split('\t');
    if (!name) continue;
    if (kind === '=>') found.pop();
    if (kind === 'mod' || kind === 'dep' || kind === '=>')
      // `(devel)` is what a build from a working tree calls its own version.
      found.push({ type: 'golang', name, version: version === '(devel)' ? '' : version, path });
  }
  const release = /^go([0-9][^ ]*)/.exec(goVersion)?.[1];
  if (release !== undefined) found.push({ type: 'golang', name: 'stdlib', version: release, path });
  return found;
}
