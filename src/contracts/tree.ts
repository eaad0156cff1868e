import type { Digest } from './digest.ts';

/**
 * A tree says what files are there; it is the form in which layers are compared, merged, keyed and measured.
 * Directories and tars are made from it when something needs them.
 *
 * Paths in trees are relative to the root, `/`-separated, cleaned, without a leading or trailing slash; the root itself
 * is `''`. Bytes of a name that are not UTF-8 are lone surrogates U+DC80..U+DCFF (`sys/path.ts` converts), so that any
 * Linux file name survives.
 */
export type TreePath = string;

interface EntryMeta {
  /** Permission bits with setuid, setgid and sticky: 0..0o7777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** Modification time: whole seconds since the epoch (may be negative) ... */
  readonly mtime: number;
  /** ... and nanoseconds, 0..999999999. */
  readonly mtimeNsec: number;
  /** Extended attributes that belong in an image (`security.capability`, `user.*`, ...), sorted by name; absent = none. */
  readonly xattrs?: ReadonlyMap<string, Uint8Array> | undefined;
}

export interface DirectoryEntry extends EntryMeta {
  readonly type: 'directory';
  /** In a layer: hides all that lower layers have in this directory (overlay `opaque`, OCI `.wh..wh..opq`). */
  readonly opaque?: boolean | undefined;
}

export interface FileEntry extends EntryMeta {
  readonly type: 'file';
  /** Bytes. */
  readonly size: number;
  /** Of the content; absent while nobody has needed it: ask `FileTree.digests`. */
  readonly digest?: Digest | undefined;
  /** Set on every name but the first of a hard-linked file: the first name, in the same layer. Other fields equal the first's. */
  readonly hardlink?: TreePath | undefined;
}

export interface SymlinkEntry extends EntryMeta {
  readonly type: 'symlink';
  /** The link's text, as it stands. */
  readonly target: string;
}

export interface DeviceEntry extends EntryMeta {
  readonly type: 'char-device' | 'block-device';
  readonly major: number;
  readonly minor: number;
}

export interface FifoEntry extends EntryMeta {
  readonly type: 'fifo';
}

export interface SocketEntry extends EntryMeta {
  readonly type: 'socket';
}

/** In a layer only: what lower layers have at this path is gone (OCI layer.md, whiteouts). */
export interface WhiteoutEntry {
  readonly type: 'whiteout';
}

/** What a file system can hold at a path. */
export type NodeEntry = DirectoryEntry | FileEntry | SymlinkEntry | DeviceEntry | FifoEntry | SocketEntry;

/** What a layer can hold at a path. */
export type TreeEntry = NodeEntry | WhiteoutEntry;

/**
 * One layer's own entries. The map's order is bytewise by path with `/` lowest, so parents come before children and a
 * tar written in map order is deterministic. A layer need not hold the parents of its entries.
 */
export type Tree = ReadonlyMap<TreePath, TreeEntry>;

/** Where the bytes of a file are on this machine, now. */
export type ContentLocation =
  /** A host file that only we write. */
  | { readonly kind: 'file'; readonly path: string }
  /** A host file of the user, which may change at any moment: hash in passing and compare with the entry's digest. */
  | { readonly kind: 'context-file'; readonly path: string }
  | { readonly kind: 'bytes'; readonly data: Uint8Array };

/** What is in a directory and below, in numbers. */
export interface Survey {
  /** Entries of a walk. */
  readonly count: number;
  /** First names of the files that have several of them. */
  readonly linked: ReadonlySet<TreePath>;
  /** Regular files whose entries do not say a digest. */
  readonly unknown: readonly TreePath[];
}

/**
 * Read access to a file system that may be lazy: a build context on disk, one layer, or merged layers of which some are
 * not pulled yet. Never follows symbolic links: `lookup('a/b')` finds nothing when `a` is a link.
 */
export interface FileTree {
  lookup(path: TreePath): Promise<NodeEntry | undefined>;
  /** Names in a directory, sorted bytewise; undefined when `path` is not a directory. */
  list(path: TreePath): Promise<readonly string[] | undefined>;
  /**
   * Everything below a directory (itself not included), paths relative to the root, in tree order. May be gone through
   * more than once; entries are made as one goes, so that who keeps none needs no memory for them.
   */
  walk(path: TreePath): Promise<Iterable<readonly [TreePath, NodeEntry]>>;
  /** Of what a walk would show, without making its entries; undefined or absent where that takes as long as the walk. */
  survey?(path: TreePath): Promise<Survey | undefined>;
  /**
   * What a walk would show without making its entries, with paths from `path`, in tree order; nothing in it is a hard link.
   * Undefined or absent where that takes as long as the walk.
   */
  subtree?(path: TreePath): Promise<Tree | undefined>;
  /** Finds out the content digests of regular files; from then on their entries say them. Errors as of `digests`. */
  learn?(paths: readonly TreePath[]): Promise<void>;
  /**
   * Content digests of regular files, in the order asked. Errors: `source-missing` when a path is not a regular file.
   */
  digests(paths: readonly TreePath[]): Promise<readonly Digest[]>;
  /**
   * Where the bytes of regular files are, in the order asked; pulls or extracts what is needed before it answers.
   *
   * @param paths May be gone through more than once.
   * @returns Made as one goes through them, once, so that a million are never there at a time. Errors: `source-missing`
   *   when a path is not a regular file.
   */
  locate(paths: Iterable<TreePath>): Promise<Iterable<ContentLocation>>;
}
