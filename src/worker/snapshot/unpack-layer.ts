/**
 * Unpacks the blob of a layer into a directory. While the stream runs only directories and regular files are made, so
 * that no link of the archive can be followed: there is none yet. What the entries mean together (a name twice, a path
 * through a link, hard links, whiteouts) is image/'s tree of the layer; links, devices, whiteouts and metadata are made
 * from that tree at the end.
 */
import { createHash, hash, type Hash } from 'node:crypto';
import {
  closeSync,
  createReadStream,
  fchmodSync,
  fchownSync,
  mkdirSync,
  openSync,
  renameSync,
  rmSync,
  writeSync,
} from 'node:fs';
import { BuildError, EMPTY_DIGEST } from '../../contracts/index.ts';
import type { Digest, FileEntry, Tree, TreeEntry, TreePath } from '../../contracts/index.ts';
import { LayerTreeBuilder, TarTokenizer, decompress, type TarHeader } from '../../image/index.ts';
import { asBuildError, errnoOf } from '../../sys/errno.ts';
import { encodePath } from '../../sys/path.ts';
import { futimensNs } from '../../sys/stat.ts';
import { writeXattr } from '../../sys/xattr.ts';
import { LayerWriter } from './layer-writer.ts';

const READ_CHUNK = 1 << 20;

export interface UnpackInput {
  readonly blobPath: string;
  /** Host path that must not exist; its parent must. */
  readonly directory: string;
  /** What is unpacked, for errors. */
  readonly name: string;
  /** Whether the tree is to have the digest of each file. */
  readonly hash: boolean;
}

export interface UnpackResult {
  readonly tree: Tree;
  /** Directories that the tree does not hold. */
  readonly implicit: readonly TreePath[];
}

/**
 * Errors: `hostile` for damaged archives and names that lead out; `disk-full`; `unsupported` for a hard link to a file
 * of a lower layer.
 */
export async function unpackLayer(input: UnpackInput, signal?: AbortSignal): Promise<UnpackResult> {
  mkdirSync(input.directory, 0o755);
  const staging = `${input.directory}.parts`;
  const unpacking = new Unpacking(input, staging);
  try {
    const tokenizer = new TarTokenizer({ name: input.name });
    const source = createReadStream(input.blobPath, { highWaterMark: READ_CHUNK });
    for await (const chunk of decompress(source, { name: input.name })) {
      if (signal?.aborted === true) throw new BuildError({ code: 'cancelled', message: 'the build was cancelled' });
      tokenizer.feed(chunk);
      for (let token = tokenizer.next(); token !== undefined; token = tokenizer.next()) {
        if (token.kind === 'data') unpacking.data(token.bytes);
        else if (token.kind === 'entry') unpacking.entry(token.header);
        else unpacking.end();
      }
    }
    tokenizer.finish();
    return unpacking.finish();
  } finally {
    unpacking.close();
    rmSync(staging, { recursive: true, force: true });
  }
}

/** The bytes of one file of the archive, and where they are now. */
interface Part {
  host: string;
  readonly digest: Digest | undefined;
}

class Unpacking {
  readonly #builder = new LayerTreeBuilder();
  readonly #writer: LayerWriter;
  readonly #staging: string;
  readonly #hashes: boolean;
  /** By number; the tree under way carries the number of a file's bytes in place of its digest. */
  readonly #parts: Part[] = [];
  #fd = -1;
  #header: TarHeader | undefined;
  #host = '';
  #path: TreePath = '';
  #hash: Hash | undefined;
  #digest: Digest = EMPTY_DIGEST;

  constructor({ directory, hash }: UnpackInput, staging: string) {
    this.#writer = new LayerWriter(directory);
    this.#staging = staging;
    this.#hashes = hash;
    mkdirSync(staging, 0o700);
  }

  entry(header: TarHeader): void {
    const path = this.#builder.add(header);
    if (path === undefined) return;
    this.#builder.setDigest(path, partNumber(this.#parts.length));
    this.#header = header;
    this.#path = path;
    this.#hash = undefined;
    this.#digest = EMPTY_DIGEST;
    this.#fd = this.#open(header);
  }

  data(bytes: Uint8Array): void {
    if (this.#fd < 0) return;
    if (this.#hashes) this.#learn(bytes);
    try {
      for (let at = 0; at < bytes.length;) at += writeSync(this.#fd, bytes, at, bytes.length - at);
    } catch (error) {
      throw asBuildError(error);
    }
  }

  #learn(bytes: Uint8Array): void {
    if (bytes.length === this.#header?.size) this.#digest = `sha256:${hash('sha256', bytes, 'hex')}`;
    else this.#hash = (this.#hash ?? createHash('sha256')).update(bytes);
  }

  end(): void {
    const header = this.#header;
    if (this.#fd < 0 || header === undefined) return;
    const { uid, gid, mode, xattrs } = header;
    if (uid !== 0 || gid !== 0) {
      fchownSync(this.#fd, uid, gid);
      // chown takes setuid and setgid away.
      if ((mode & 0o6000) !== 0) fchmodSync(this.#fd, mode);
    }
    if (xattrs !== undefined) for (const [name, value] of xattrs) writeXattr(this.#fd, name, value);
    futimensNs(this.#fd, header.mtime, header.mtimeNsec);
    this.close();
    const digest: Digest = this.#hash === undefined ? this.#digest : `sha256:${this.#hash.digest('hex')}`;
    this.#parts.push({ host: this.#host, digest: this.#hashes ? digest : undefined });
  }

  /** Also of an entry that was cut off. */
  close(): void {
    if (this.#fd >= 0) closeSync(this.#fd);
    this.#fd = -1;
    this.#header = undefined;
  }

  /** In place where that is free: a new name in a directory of ours. O_EXCL: nothing that is there is ever opened. */
  #open(header: TarHeader): number {
    try {
      this.#writer.ensureParent(this.#path);
      this.#host = this.#writer.hostPath(this.#path);
      return openSync(encodePath(this.#host), 'wx', header.mode);
    } catch (error) {
      const inTheWay = errnoOf(error) === 'EEXIST' || (error instanceof BuildError && error.code === 'hostile');
      if (!inTheWay) throw asBuildError(error);
    }
    this.#host = this.#stagedPath(this.#parts.length);
    try {
      return openSync(this.#host, 'wx', header.mode);
    } catch (error) {
      throw asBuildError(error);
    }
  }

  #stagedPath(number: number): string {
    return `${this.#staging}/${number}`;
  }

  finish(): UnpackResult {
    const marked = this.#builder.build();
    const homes = homesOf(marked);
    this.#clearPlaces(homes);
    this.#writer.keepOnly(marked);
    const tree = new Map<TreePath, TreeEntry>();
    const links: (readonly [TreePath, FileEntry, TreePath])[] = [];
    for (const [path, entry] of marked) {
      if (entry.type === 'file') {
        const real = { ...entry, digest: this.#parts[numberOf(entry)]?.digest };
        tree.set(path, real);
        if (entry.hardlink !== undefined) links.push([path, real, entry.hardlink]);
        continue;
      }
      tree.set(path, entry);
      if (path === '') continue;
      if (entry.type === 'directory') this.#writer.directory(path, entry);
      else this.#writer.special(path, entry);
    }
    this.#placeParts(homes);
    for (const [path, entry, first] of links) this.#link(path, entry, first, tree);
    this.#writer.finish();
    return { tree, implicit: this.#writer.implicitDirectories() };
  }

  /** Takes away what was written in place for entries that the tree has elsewhere or not at all. */
  #clearPlaces(homes: ReadonlyMap<number, TreePath>): void {
    for (const [number, part] of this.#parts.entries()) {
      const home = homes.get(number);
      if (home === undefined) rmSync(encodePath(part.host));
      else if (part.host !== this.#writer.hostPath(home)) this.#move(part, this.#stagedPath(number));
    }
  }

  #placeParts(homes: ReadonlyMap<number, TreePath>): void {
    for (const [number, home] of homes) {
      const part = this.#parts[number];
      const host = this.#writer.hostPath(home);
      if (part === undefined || part.host === host) continue;
      this.#writer.ensureParent(home);
      this.#move(part, host);
    }
  }

  #move(part: Part, to: string): void {
    if (part.host === to) return;
    renameSync(encodePath(part.host), encodePath(to));
    part.host = to;
  }

  #link(path: TreePath, entry: FileEntry, first: TreePath, tree: Tree): void {
    if (tree.get(first)?.type !== 'file') {
      throw new BuildError({
        code: 'unsupported',
        message: `/${path} is a hard link to /${first}, which is in another layer`,
      });
    }
    this.#writer.hardlink(path, first, entry);
  }
}

/** Where the bytes of each number belong: the first of a file's names, in tree order. */
function homesOf(tree: Tree): ReadonlyMap<number, TreePath> {
  const homes = new Map<number, TreePath>();
  for (const [path, entry] of tree) {
    if (entry.type === 'file' && entry.hardlink === undefined) homes.set(numberOf(entry), path);
  }
  return homes;
}

function partNumber(number: number): Digest {
  return `sha256:part-${number}`;
}

function numberOf(entry: FileEntry): number {
  return Number(entry.digest?.slice('sha256:part-'.length) ?? -1);
}
