import type {
  BuildEventSink,
  Digest,
  FileTree,
  Layer,
  LayerId,
  NodeEntry,
  Snapshot,
  SourceFile,
  SourceLocation,
  TreePath,
  WorkContext,
  Worker,
} from '../contracts/index.ts';
import type { ImageConfig, PortableLayer } from '../image/index.ts';
import type { Pins } from './pins.ts';
import type { Registry } from '../registry/index.ts';
import type { LayerRow, Store } from '../store/index.ts';

/** An LLB source vertex (`llb/`), by way of the contract that hands it on. */
export type SourceVertex = Parameters<Worker['sourceKey']>[0];
export type Platform = NonNullable<SourceVertex['platform']>;

/** A directory that a `local://name` source reads in place. */
export interface LocalContext {
  readonly directory: string;
  /** The ignore file that `local.excludepatterns` came from, so that an excluded path can be explained by its line. */
  readonly ignore?: {
    readonly file: SourceFile;
    readonly lines: readonly { readonly pattern: string; readonly line: number }[];
  };
}

export interface SourcesOptions {
  readonly store: Store;
  readonly registry: Registry;
  /** By the name of the local source: `context`, or that of `--build-context`. */
  readonly contexts: ReadonlyMap<string, LocalContext>;
  /** What names are to mean, and who hears what they mean. */
  readonly pins?: Pins | undefined;
  /** `--pull`: ask registries even for names that the store knows. */
  readonly pull?: boolean | undefined;
  /** `--offline`: nobody is asked; what was found before under a name or URL is what it means. */
  readonly offline?: boolean | undefined;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  /** Absent = `process.env`. */
  readonly env?: Env | undefined;
  /** `--secret`, for git servers that want a token (`GIT_AUTH_TOKEN`, `GIT_AUTH_HEADER`). */
  readonly secret?: ((id: string) => Promise<Uint8Array | undefined>) | undefined;
  /** `--ssh`: the socket of the agent for git over ssh. Absent = the user's own (`SSH_AUTH_SOCK`). */
  readonly ssh?: ((id: string) => string | undefined) | undefined;
}

export type Env = Readonly<Record<string, string | undefined>>;

/** What an image is, found out without pulling its layers. */
export interface ResolvedImage {
  /** Normalized, with registry and digest: `docker.io/library/alpine:latest@sha256:...`. */
  readonly ref: string;
  /** Of what the name points to: the index, or the manifest where there is no index. */
  readonly digest: Digest;
  readonly config: ImageConfig;
}

/** Why a path is not there, for the error of a missing COPY source. */
export type Missing =
  | {
      readonly kind: 'excluded';
      readonly pattern: string;
      readonly file: SourceFile | undefined;
      readonly line: number | undefined;
    }
  /** Names that differ only in case, or that are near; paths in the context. */
  | { readonly kind: 'similar'; readonly paths: readonly TreePath[] }
  | { readonly kind: 'absent' };

/** What a look at a directory of the context found. */
export interface ContextLook {
  /** Visible files and directories below it, and some that are not. */
  readonly entries: number;
  /** Milliseconds since the epoch. Before that, a file may change again without its times telling. */
  readonly unsettledUntil: number;
  /** A digest of all names with what a stat says: the same as long as nothing changes. */
  state(): string;
}

/** The build context on disk, minus what the ignore file excludes. */
export interface ContextTree extends FileTree {
  /** As every tree's; directories that `enter` refuses are in it, what is below them is not looked at. */
  walk(path: TreePath, enter?: (path: TreePath) => boolean): Promise<Iterable<readonly [TreePath, NodeEntry]>>;
  /**
   * Looks at all of a directory at once, before anything in it is asked for. Undefined where that does not pay, cannot be
   * done, or comes too late.
   */
  look(path: TreePath): Promise<ContextLook | undefined>;
  /** Why `lookup(path)` finds nothing. */
  explain(path: TreePath): Promise<Missing>;
  /** The directory itself, for messages. */
  readonly directory: string;
}

export interface ContextSnapshot extends Snapshot {
  readonly layers: readonly [];
  readonly files: ContextTree;
  readonly inPlace: true;
}

/** Narrows a snapshot to one of a build context. */
export function isContextSnapshot(snapshot: Snapshot): snapshot is ContextSnapshot {
  return snapshot.inPlace;
}

/**
 * Where bytes come from. One for each build: concurrent asks for the same thing are answered once.
 */
export interface Sources {
  /**
   * For the front end. `ref` as in frontend/types.ts `Resolver`. Emits `[internal] load metadata for ...`.
   * Errors: `image-not-found`, `registry`, `auth`, all at `location`.
   */
  resolveImage(
    ref: string,
    platform: Platform,
    kind: 'docker-image' | 'oci-layout',
    location: SourceLocation | undefined,
  ): Promise<ResolvedImage>;
  /** The layers of a `docker-image://` or `oci-layout://` vertex, none of them pulled. */
  imageSnapshot(vertex: SourceVertex, context: WorkContext): Promise<Snapshot>;
  /** A build context, read in place. `excludes` are patterns of an ignore file. */
  localSnapshot(name: string, excludes: readonly string[]): ContextSnapshot;
  /** As `Worker.sourceKey`. */
  sourceKey(vertex: SourceVertex, context: WorkContext): Promise<string | undefined>;
  /** The snapshot of any source vertex. */
  snapshot(vertex: SourceVertex, context: WorkContext): Promise<Snapshot>;
  /** A layer over a store row: tree, digests, bytes, as they are needed. Throws `store` when there is no such row. */
  storeLayer(id: LayerId): Layer;
  /**
   * The layer that a cache describes, none of its bytes pulled. One of a base image is that of the image which this build
   * has asked for.
   *
   * @param origin Where the cache's blobs can be had: a repository, `oci-layout:///path`.
   * @returns Undefined for a base layer that the cache does not hold and nobody here knows.
   */
  cachedLayer(layer: PortableLayer, origin: string): Promise<LayerId | undefined>;
  /** Says of each image that a step used how many bytes of its layers nobody needed; once, at the end. */
  tellUnpulled(): void;
  /** Layers of caches whose bytes were asked for and could not be had; from then on they are not reachable. */
  readonly brokenLayers: number;
  /** Whether a layer's bytes are here or can be had; asks the registry about what a cache offered to an earlier build. */
  isReachable(row: LayerRow): Promise<boolean>;
  /**
   * Takes in what came on standard input; the URL that it is given is an http source, for this build and later ones.
   * Errors: `context`, `disk-full`.
   */
  takeUpload(stream: AsyncIterable<Uint8Array>): Promise<string>;
  /**
   * Unpacks a tar (plain, gzip, zstd) into a temporary directory of the store, to be read as a local context; gone with
   * the process. Errors: `hostile`, `context`.
   */
  contextFromTar(stream: AsyncIterable<Uint8Array>): Promise<string>;
  /** Writes what is to be kept (stat caches); ends threads. */
  close(): Promise<void>;
}
