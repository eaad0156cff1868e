import type { ContentListWriter } from './content-list.ts';
import type { Digest, LayerBlob, LayerId, Tree, TreeEntry, TreePath } from '../contracts/index.ts';

/** What the store knows of a layer. */
export interface LayerRow {
  readonly id: LayerId;
  /** Of the uncompressed tar, once somebody has made or read it. */
  readonly diffId: Digest | undefined;
  /** Blobs in the store or, with `local` false, known from a manifest and still to pull. */
  readonly blobs: readonly (LayerBlob & {
    readonly local: boolean;
    /** What made the bytes, as `zlib 1.3.1 gzip-4`: equal compressed digests are promised for equal compressors only. */
    readonly compressor: string | undefined;
    /** Where it can be pulled from: `docker.io/library/golang`, `oci-layout:///path`. */
    readonly repositories: readonly string[];
  })[];
  readonly hasTree: boolean;
  readonly hasDir: boolean;
  /** Uncompressed bytes of the layer's own files, once the tree is known. */
  readonly size: number | undefined;
}

/** The result of a vertex, found by key. */
export interface CacheRecord {
  readonly key: string;
  /** One chain of layers an output. */
  readonly outputs: readonly (readonly LayerId[])[];
  /** Milliseconds since the epoch. */
  readonly created: number;
  /** What progress called the step, and its inputs as JSON, for explain. */
  readonly description: string;
  readonly inputs: string;
  /** Keys of the records that it was made on top of: they are kept as long as it is used. */
  readonly parents?: readonly string[] | undefined;
}

/** An image in the local store. */
export interface ImageRow {
  /** Normalized reference with tag, `docker.io/library/x:latest`. */
  readonly name: string;
  /** Manifest (or index) digest. */
  readonly digest: Digest;
  readonly mediaType: string;
  readonly created: number;
  /** `build` for what we tagged, `pull` for what a registry said a name means. */
  readonly origin: 'build' | 'pull';
}

/** What is kept of a build. What is in `summary` and `data` is its writer's affair. */
export interface BuildRow {
  readonly id: string;
  /** When it began, milliseconds since the epoch. */
  readonly created: number;
  /** Builds of one lineage are compared with each other: same context, Dockerfile, target, platform. */
  readonly lineage: string;
  readonly graph: string | undefined;
  /** JSON for lists. */
  readonly summary: string;
  /** JSON; empty in lists. */
  readonly data: string;
}

/** The graph of a build. Builds that had the same share it. */
export interface BuildGraphRow {
  readonly id: string;
  readonly data: Uint8Array;
  /** Content digests in it: their lists are kept as long as it. */
  readonly contents: readonly Digest[];
}

/** One path of what a content digest stands for; what does not count for the digest is absent. */
export interface ContentListEntry {
  readonly path: TreePath;
  readonly type: Exclude<TreeEntry['type'], 'whiteout'>;
  readonly mode?: number | undefined;
  /** `uid:gid` */
  readonly owner?: string | undefined;
  /** Of a file: the first 16 hex digits. */
  readonly digest?: string | undefined;
  /** Text of a symbolic link, first name of a hard link, `major:minor` of a device. */
  readonly target?: string | undefined;
  /** Digest of the extended attributes. */
  readonly xattrs?: string | undefined;
}

/** A blob being written; nothing refers to it before `commit`. */
export interface BlobWriter {
  write(data: Uint8Array): Promise<void>;
  /** Verifies digest and size where given (error `digest-mismatch`), renames into place, returns what it is. */
  commit(expected?: {
    readonly digest?: Digest | undefined;
    readonly size?: number | undefined;
  }): Promise<{ readonly digest: Digest; readonly size: number }>;
  abort(): Promise<void>;
}

/** A blob that is being written, for who reads it meanwhile. */
export interface GrowingBlob {
  /**
   * Bytes from `start` on; waits for those that are not there yet, and ends with the blob. Each piece is gone once the next
   * one is asked for. Throws when nothing comes of the blob.
   *
   * @param until Ends before the end once it is given.
   */
  read(start: number, until?: AbortSignal): AsyncIterable<Uint8Array>;
  /** Once it is in its place. Rejects when nothing comes of it. */
  readonly whole: Promise<{ readonly digest: Digest; readonly size: number }>;
}

/** A {@link BlobWriter} whose bytes can be read before it is committed. */
export interface FollowedWriter extends BlobWriter {
  follow(): GrowingBlob;
}

/**
 * What takes room: `image`s that somebody named, `base`s that were pulled, `step`s that later builds find, `cache-mount`s,
 * stat caches of `context`s, single `files` taken out of layers, what nothing needs any more (`unused`), and the database
 * (`records`).
 */
export type UsageType = 'image' | 'base' | 'step' | 'cache-mount' | 'context' | 'files' | 'unused' | 'records';

export interface UsageItem {
  readonly type: UsageType;
  /** Name of an image, key of a step, `<hash>/<slot>` of a cache mount, id of a context. */
  readonly id: string;
  readonly description: string;
  /** Bytes: of an image all that it needs, of a step what it added. */
  readonly size: number;
  /** Bytes that would be free if only this went. */
  readonly reclaimable: number;
  /** Milliseconds since the epoch. */
  readonly created: number;
  readonly used: number;
  /** Id of the context for which it was made. */
  readonly project: string | undefined;
  /** A running process relies on it. */
  readonly inUse: boolean;
  /** All that it needs, an image needs too. */
  readonly shared: boolean;
}

export interface UsageTotal {
  readonly count: number;
  /** Bytes, each counted once: what several need counts for the first of them in the order of {@link UsageType}. */
  readonly size: number;
  /** Bytes that a `prune --all` would free now. */
  readonly reclaimable: number;
}

export interface StoreUsage {
  readonly items: readonly UsageItem[];
  readonly types: Readonly<Record<UsageType, UsageTotal>>;
  /** Bytes by the form in which they lie there. */
  readonly forms: Readonly<Record<'directories' | 'blobs' | 'trees' | 'files' | 'cacheMounts' | 'other', number>>;
  readonly total: number;
  readonly reclaimable: number;
  /** What `keepStorage` bounds: all but what named images need. */
  readonly cache: number;
  /** Bytes of the file system that the state directory is on. */
  readonly fileSystem: number;
}

/** What to remove. Images that somebody named, and what running processes hold, always stay. */
export interface PruneRequest {
  /** Absent = all kinds of items. */
  readonly matches?: ((item: UsageItem) => boolean) | undefined;
  /** Only what was not used since, milliseconds since the epoch. */
  readonly unusedSince?: number | undefined;
  /**
   * Stop when the cache is no larger, in bytes, told from those of the file system; what was not used for longest goes
   * first.
   */
  readonly keepStorage?: ((fileSystem: number) => number) | undefined;
  /** Also steps whose files an image needs anyway, and all that is remembered to be faster. */
  readonly all?: boolean | undefined;
  readonly dryRun?: boolean | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface PruneReport {
  readonly removed: readonly UsageItem[];
  /** Bytes that are free now (or would be). */
  readonly freed: number;
  /** Bytes that the cache has after it. */
  readonly cache: number;
}

/** Something in the state directory that contradicts itself. */
export interface StoreProblem {
  /** As `layer 1a2b`, `image docker.io/library/app:latest`. */
  readonly subject: string;
  readonly problem: string;
}

export interface VerifyReport {
  readonly problems: readonly StoreProblem[];
  /** What the next collection will find and remove: what killed processes left. */
  readonly leftovers: readonly string[];
  /** Looked at. */
  readonly layers: number;
  readonly blobs: number;
  readonly records: number;
  readonly images: number;
}

/**
 * The state directory. The only place that knows its layout; everything is content or a row, nothing is kept elsewhere.
 * Crash-safe: temporary name, verify, rename, then the database. Safe for many processes: flock and SQLite.
 */
export interface Store {
  readonly root: string;

  // blobs
  blobPath(digest: Digest): string;
  hasBlob(digest: Digest): boolean;
  createBlob(): Promise<FollowedWriter>;
  /** Small documents: manifests, configs. */
  putBlob(data: Uint8Array): Promise<{ readonly digest: Digest; readonly size: number }>;
  readBlob(digest: Digest): Promise<Uint8Array>;

  // single files extracted from layers, by content digest, mode 0600, never linked from outside
  filePath(digest: Digest): string;
  hasFile(digest: Digest): boolean;
  createFile(): Promise<BlobWriter>;

  // layers
  /** A new id with a row without tree, directory or blobs; forgotten at the next start unless `saveLayer` follows. */
  newLayer(): LayerId;
  layer(id: LayerId): LayerRow | undefined;
  /** The layer of this diff ID, or of this blob. */
  findLayer(by: { readonly diffId: Digest } | { readonly blob: Digest }): LayerId | undefined;
  /** Adds what is known of a layer; merges with what was there. */
  saveLayer(
    id: LayerId,
    facts: {
      readonly diffId?: Digest | undefined;
      readonly blob?:
        | (LayerBlob & { readonly compressor?: string | undefined; readonly repository?: string | undefined })
        | undefined;
      readonly size?: number | undefined;
      readonly dir?: true | undefined;
    },
  ): void;
  /** The directory's path, `<root>/l/<id>/fs`; exists when `layer(id).hasDir`. */
  layerDir(id: LayerId): string;
  /** Overlay work directory beside it. */
  layerWorkDir(id: LayerId): string;
  readTree(id: LayerId): Promise<Tree>;
  writeTree(id: LayerId, tree: Tree): Promise<void>;
  /** Content digests of a layer's files that were hashed on demand. */
  readDigests(id: LayerId, paths: readonly string[]): readonly (Digest | undefined)[];
  writeDigests(id: LayerId, digests: ReadonlyMap<string, Digest>): void;

  // cache records
  /** `key` may be a definition key (an alias) or the record's own. */
  findRecord(key: string): CacheRecord | undefined;
  saveRecord(record: CacheRecord): void;
  /** Makes `alias` find the record of `key`. */
  aliasRecord(alias: string, key: string): void;

  // build records, the newest only
  saveBuild(row: BuildRow, graph?: BuildGraphRow): void;
  /** Newest first, without `data`. @param query `before` is the id of a build. */
  builds(query?: {
    readonly lineage?: string | undefined;
    readonly before?: string | undefined;
    readonly limit?: number | undefined;
  }): readonly BuildRow[];
  build(id: string): BuildRow | undefined;
  /** Forgets all but the newest, and what only those referred to. */
  pruneBuilds(keep: number): void;
  hasBuildGraph(id: string): boolean;
  readBuildGraph(id: string): Uint8Array | undefined;
  // what is behind content digests, to explain what changed; a lost one only costs the explanation
  hasContentList(content: Digest): boolean;
  saveContentList(content: Digest, list: ContentListWriter): void;
  readContentList(content: Digest): readonly ContentListEntry[] | undefined;

  // images
  images(): readonly ImageRow[];
  image(name: string): ImageRow | undefined;
  saveImage(row: ImageRow): void;
  removeImage(name: string): boolean;

  // small facts that are dear to find out again, as the bytes of a flattened stage; a lost one is only slower
  readFact(key: string): string | undefined;
  writeFact(key: string, value: string): void;

  // stat cache of build contexts: exact (device, inode, size, mtime, ctime) to digest, one file a context root
  readStatCache(contextRoot: string): Promise<Uint8Array | undefined>;
  /** @param parts One after the other. */
  writeStatCache(contextRoot: string, parts: readonly Uint8Array[]): Promise<void>;

  // cache mounts
  cacheDir(id: string): string;

  // temporary files on the store's file system; removed when the process ends, or later by others when it died
  tempPath(suffix: string): string;

  /**
   * An flock on a file in the store; released by `release` or by the kernel.
   *
   * @param options `doing` says to those who wait what is done under it: `runs [build 2/3] RUN make`.
   */
  lock(
    name: string,
    options: { readonly shared?: boolean; readonly signal?: AbortSignal; readonly doing?: string },
  ): Promise<{ release(): void }>;

  // what takes room, and collection of what nothing needs
  usage(): Promise<StoreUsage>;
  /** Errors: `store` when another process keeps this one from it for too long. */
  prune(request: PruneRequest): Promise<PruneReport>;
  /**
   * Keeps the cache below `bound` bytes, if this process wrote anything; never fails. Cheap when it is below.
   *
   * @param boundOf From the bytes of the file system.
   */
  keepWithin(boundOf: (fileSystem: number) => number): Promise<void>;
  /** Whether all that is said to be there is there. @param deep Read every blob and compare every directory. */
  verify(deep: boolean): Promise<VerifyReport>;

  /** Durable from here on; cheap to skip between steps. */
  sync(): void;
  close(): void;
}
