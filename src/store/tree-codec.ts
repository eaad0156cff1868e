/**
 * Trees as bytes: columns, so that 100,000 entries are read in some 50 ms, most of which is making the objects.
 *
 *     "SLTR" | u32 version | u32 CRC-32 of the rest | u32 entries | u32 flags | u32 length of each section
 *     sections: paths, kinds, modes, uids, gids, mtimes, nanoseconds, sizes, digests, links, devices, targets, xattrs
 *
 * Integers and doubles are little-endian. Texts are joined with NUL: UTF-8, or UTF-16 where one holds a lone surrogate
 * (a name that is not UTF-8). `kinds` holds the type in its low four bits and what follows in other sections above.
 */
import { crc32 } from 'node:zlib';
import { BuildError, type Digest, type Tree, type TreeEntry } from '../contracts/index.ts';
import { findPathProblem } from './tree-order.ts';
import { encodeXattrs, readXattrSets } from './tree-xattrs.ts';

const MAGIC = 0x52544c53; // "SLTR"
const VERSION = 1;
const HEADER_WORDS = 5;
const TYPES = ['directory', 'file', 'symlink', 'char-device', 'block-device', 'fifo', 'socket', 'whiteout'] as const;
const TYPE_MASK = 0x0f;
const HAS_DIGEST = 0x10;
const HAS_HARDLINK = 0x20;
const IS_OPAQUE = 0x40;
const HAS_XATTRS = 0x80;
const PATHS_UTF16 = 1;
const TARGETS_UTF16 = 2;
const SECTIONS = 13;

const TYPE_CODES: ReadonlyMap<TreeEntry['type'], number> = new Map(TYPES.map((type, code) => [type, code]));

/**
 * Errors: `hostile` when a path or link text contains a NUL character, which no Linux file system can hold; `internal`
 * when it is no tree: out of order, a path that is not clean, a hard link to nothing, an impossible mode or time.
 */
export function encodeTree(tree: Tree): Uint8Array {
  const count = tree.size;
  const kinds = new Uint8Array(count);
  const modes = new Uint16Array(count);
  const uids = new Uint32Array(count);
  const gids = new Uint32Array(count);
  const mtimes = new Float64Array(count);
  const nanoseconds = new Uint32Array(count);
  const sizes: number[] = [];
  const digests: string[] = [];
  const links: number[] = [];
  const devices: number[] = [];
  const targets: string[] = [];
  const xattrs: Uint8Array[] = [];
  const paths: string[] = [];
  let positions: Map<string, number> | undefined;

  let i = 0;
  for (const [path, entry] of tree) {
    paths.push(path);
    let kind = TYPE_CODES.get(entry.type) ?? 0;
    if (entry.type !== 'whiteout') {
      modes[i] = entry.mode;
      uids[i] = entry.uid;
      gids[i] = entry.gid;
      mtimes[i] = entry.mtime;
      nanoseconds[i] = entry.mtimeNsec;
      if (!isPossible(entry.mode, entry.mtime, entry.mtimeNsec))
        throw malformed(`${path} has an impossible mode or time`);
      if (entry.xattrs !== undefined && entry.xattrs.size > 0) {
        kind |= HAS_XATTRS;
        encodeXattrs(entry.xattrs, xattrs);
      }
    }
    switch (entry.type) {
      case 'directory':
        if (entry.opaque === true) kind |= IS_OPAQUE;
        break;
      case 'file':
        sizes.push(entry.size);
        if (entry.digest !== undefined) {
          kind |= HAS_DIGEST;
          digests.push(entry.digest.slice(7));
        }
        if (entry.hardlink !== undefined) {
          kind |= HAS_HARDLINK;
          positions ??= positionsOf(tree);
          const first = positions.get(entry.hardlink);
          if (first === undefined) {
            throw malformed(`hard link ${path} names ${entry.hardlink}, which is not in it`);
          }
          links.push(first);
        }
        break;
      case 'symlink':
        targets.push(entry.target);
        break;
      case 'char-device':
      case 'block-device':
        devices.push(entry.major, entry.minor);
        break;
      case 'fifo':
      case 'socket':
      case 'whiteout':
        break;
    }
    kinds[i++] = kind;
  }

  const pathText = joinTexts(paths);
  const problem = findPathProblem(paths, pathText.text);
  if (problem !== undefined) throw malformed(problem);
  const targetText = joinTexts(targets);
  const sections: Uint8Array[] = [
    pathText.bytes,
    kinds,
    bytesOf(modes),
    bytesOf(uids),
    bytesOf(gids),
    bytesOf(mtimes),
    bytesOf(nanoseconds),
    bytesOf(Float64Array.from(sizes)),
    Buffer.from(digests.join(''), 'hex'),
    bytesOf(Uint32Array.from(links)),
    bytesOf(Uint32Array.from(devices)),
    targetText.bytes,
    Buffer.concat(xattrs),
  ];
  const header = new Uint32Array(HEADER_WORDS + SECTIONS);
  header[0] = MAGIC;
  header[1] = VERSION;
  header[3] = count;
  header[4] = (pathText.utf16 ? PATHS_UTF16 : 0) | (targetText.utf16 ? TARGETS_UTF16 : 0);
  sections.forEach((section, at) => (header[HEADER_WORDS + at] = section.length));
  const encoded = Buffer.concat([bytesOf(header), ...sections]);
  encoded.writeUInt32LE(crc32(encoded.subarray(12)), 8);
  return encoded;
}

/** Errors: `store` when the bytes are damaged, of another version, or no tree that we would write. */
export function decodeTree(bytes: Uint8Array): Tree {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const headerSize = (HEADER_WORDS + SECTIONS) * 4;
  if (buffer.length < headerSize || buffer.readUInt32LE(0) !== MAGIC) throw damaged('it does not start as one');
  const version = buffer.readUInt32LE(4);
  if (version !== VERSION) throw damaged(`its version is ${version}, this slipway reads ${VERSION}`);
  if (crc32(buffer.subarray(12)) !== buffer.readUInt32LE(8)) throw damaged('its checksum is wrong');
  const count = buffer.readUInt32LE(12);
  const flags = buffer.readUInt32LE(16);
  const sections: Buffer[] = [];
  let at = headerSize;
  for (let i = 0; i < SECTIONS; i++) {
    const length = buffer.readUInt32LE((HEADER_WORDS + i) * 4);
    if (at + length > buffer.length) throw damaged('a section is too long');
    sections.push(buffer.subarray(at, (at += length)));
  }
  if (at !== buffer.length) throw damaged('it has bytes after its end');
  return readSections(count, flags, sections);
}

function readSections(count: number, flags: number, sections: readonly Buffer[]): Tree {
  const section = (index: number): Buffer => sections[index] ?? EMPTY;
  const pathText = section(0).toString((flags & PATHS_UTF16) !== 0 ? 'utf16le' : 'utf8');
  const paths = splitTexts(pathText, count);
  const kinds = section(1);
  const modes = new Uint16Array(aligned(section(2), 2, count));
  const uids = new Uint32Array(aligned(section(3), 4, count));
  const gids = new Uint32Array(aligned(section(4), 4, count));
  const mtimes = new Float64Array(aligned(section(5), 8, count));
  const nanoseconds = new Uint32Array(aligned(section(6), 4, count));
  const sizes = new Float64Array(aligned(section(7), 8));
  const digests = section(8).toString('hex');
  const links = new Uint32Array(aligned(section(9), 4));
  const devices = new Uint32Array(aligned(section(10), 4));
  if (kinds.length !== count) throw damaged('a section is too short');
  let symlinks = 0;
  for (const kind of kinds) if ((kind & TYPE_MASK) === 2) symlinks++;
  const targets = splitTexts(section(11).toString((flags & TARGETS_UTF16) !== 0 ? 'utf16le' : 'utf8'), symlinks);
  const nextXattrs = readXattrSets(section(12), () => damaged('attributes are missing'));
  const problem = findPathProblem(paths, pathText);
  if (problem !== undefined) throw damaged(problem);

  const tree = new Map<string, TreeEntry>();
  let nextSize = 0;
  let nextDigest = 0;
  let nextLink = 0;
  let nextDevice = 0;
  let nextTarget = 0;
  for (let i = 0; i < count; i++) {
    const kind = kinds[i] ?? 0;
    const path = paths[i] ?? '';
    const mode = modes[i] ?? 0;
    const mtimeNsec = nanoseconds[i] ?? 0;
    const mtime = mtimes[i] ?? 0;
    if (!isPossible(mode, mtime, mtimeNsec)) throw damaged(`${path} has an impossible mode or time`);
    const uid = uids[i] ?? 0;
    const gid = gids[i] ?? 0;
    const attributes = (kind & HAS_XATTRS) === 0 ? undefined : nextXattrs();
    let entry: TreeEntry;
    const type = TYPES[kind & TYPE_MASK];
    switch (type) {
      case 'file': {
        const size = sizes[nextSize++];
        if (size === undefined || !Number.isSafeInteger(size) || size < 0)
          throw damaged(`${path} has an impossible size`);
        let digest: Digest | undefined;
        if ((kind & HAS_DIGEST) !== 0) {
          if (nextDigest + 64 > digests.length) throw damaged('digests are missing');
          digest = `sha256:${digests.slice(nextDigest, (nextDigest += 64))}`;
        }
        let hardlink: string | undefined;
        if ((kind & HAS_HARDLINK) !== 0) {
          const first = links[nextLink++] ?? count;
          // Only the first name of a file is ever a target, so that links cannot form chains or circles.
          const target = kinds[first] ?? 0;
          if ((target & TYPE_MASK) !== 1 || (target & HAS_HARDLINK) !== 0) throw damaged(`${path} links to no file`);
          hardlink = paths[first];
        }
        entry = { type, mode, uid, gid, mtime, mtimeNsec, xattrs: attributes, size, digest, hardlink };
        break;
      }
      case 'directory': {
        const opaque = (kind & IS_OPAQUE) !== 0 ? true : undefined;
        entry = { type, mode, uid, gid, mtime, mtimeNsec, xattrs: attributes, opaque };
        break;
      }
      case 'symlink':
        entry = { type, mode, uid, gid, mtime, mtimeNsec, xattrs: attributes, target: targets[nextTarget++] ?? '' };
        break;
      case 'char-device':
      case 'block-device': {
        const major = devices[nextDevice++];
        const minor = devices[nextDevice++];
        if (major === undefined || minor === undefined) throw damaged('device numbers are missing');
        entry = { type, mode, uid, gid, mtime, mtimeNsec, xattrs: attributes, major, minor };
        break;
      }
      case 'fifo':
      case 'socket':
        entry = { type, mode, uid, gid, mtime, mtimeNsec, xattrs: attributes };
        break;
      case 'whiteout':
        entry = WHITEOUT;
        break;
      default:
        throw damaged(`${path} is of an unknown type`);
    }
    tree.set(path, entry);
  }
  return tree;
}

const WHITEOUT: TreeEntry = { type: 'whiteout' };
const EMPTY = Buffer.alloc(0);

function positionsOf(tree: Tree): Map<string, number> {
  const positions = new Map<string, number>();
  let i = 0;
  for (const path of tree.keys()) positions.set(path, i++);
  return positions;
}

function bytesOf(array: Uint16Array | Uint32Array | Float64Array): Uint8Array {
  return new Uint8Array(array.buffer, array.byteOffset, array.byteLength);
}

/** A copy at offset 0, as typed arrays want alignment; a few memcpy of what is read anyway. */
function aligned(section: Buffer, width: number, count?: number): ArrayBuffer {
  if (section.length % width !== 0 || (count !== undefined && section.length !== count * width)) {
    throw damaged('a section has a wrong length');
  }
  const copy = new Uint8Array(section.length);
  copy.set(section);
  return copy.buffer;
}

function joinTexts(texts: readonly string[]): {
  readonly text: string;
  readonly bytes: Uint8Array;
  readonly utf16: boolean;
} {
  const text = texts.join('\0');
  for (const one of texts) {
    if (one.includes('\0')) {
      throw new BuildError({
        code: 'hostile',
        message: `a path or link contains a NUL character: ${JSON.stringify(one)}`,
      });
    }
  }
  const utf8 = Buffer.from(text, 'utf8');
  // Lone surrogates became U+FFFD: the text did not survive.
  const lossy = utf8.length !== text.length && utf8.toString('utf8') !== text;
  return lossy ? { text, bytes: Buffer.from(text, 'utf16le'), utf16: true } : { text, bytes: utf8, utf16: false };
}

function splitTexts(text: string, count: number): readonly string[] {
  if (count === 0) {
    if (text !== '') throw damaged('it has texts without entries');
    return [];
  }
  const texts = text.split('\0');
  if (texts.length !== count) throw damaged('it has another number of texts than entries');
  return texts;
}

function isPossible(mode: number, mtime: number, mtimeNsec: number): boolean {
  return (mode & ~0o7777) === 0 && Number.isSafeInteger(mtime) && mtimeNsec >= 0 && mtimeNsec <= 999_999_999;
}

function malformed(why: string): BuildError {
  return new BuildError({ code: 'internal', message: `a tree that is none cannot be stored: ${why}` });
}

function damaged(why: string): BuildError {
  return new BuildError({
    code: 'store',
    message: `a tree in the state directory cannot be read: ${why}`,
    hint: 'build again with --no-cache; if it stays, remove the state directory',
  });
}
