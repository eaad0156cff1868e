/**
 * LLB in memory: BuildKit's `pb.Op` (solver/pb/ops.proto) as plain data. `marshal.ts` turns it into `pb.Definition`
 * bytes; a vertex is named by the sha256 of its op's bytes.
 */
import type { Digest } from '../contracts/digest.ts';
import type { SourceLocation } from '../contracts/error.ts';

/** Lower-case OCI values, as `linux`, `arm64`, `v8`. */
export interface Platform {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
  readonly osVersion?: string | undefined;
}

export interface UserRef {
  readonly kind: 'name' | 'id';
  /** For `name`. Looked up in passwd/group of the action's input `input` (an op input index; -1 = none, as with --link). */
  readonly name?: string | undefined;
  readonly input?: number | undefined;
  /** For `id`. */
  readonly id?: number | undefined;
}

export interface Chown {
  readonly user?: UserRef | undefined;
  readonly group?: UserRef | undefined;
}

export interface CopyAction {
  readonly kind: 'copy';
  /** Absolute, in the secondary input. */
  readonly src: string;
  /** Absolute, in the input; a trailing slash is kept. */
  readonly dest: string;
  readonly owner?: Chown | undefined;
  /** -1 = keep. */
  readonly mode: number;
  /** Symbolic chmod, overrides `mode`. */
  readonly modeStr?: string | undefined;
  readonly followSymlink: boolean;
  readonly dirCopyContents: boolean;
  readonly attemptUnpackDockerCompatibility: boolean;
  readonly createDestPath: boolean;
  readonly allowWildcard: boolean;
  readonly allowEmptyWildcard: boolean;
  /** Nanoseconds; -1 = keep the source's. */
  readonly timestamp: bigint;
  readonly includePatterns: readonly string[];
  readonly excludePatterns: readonly string[];
  readonly alwaysReplaceExistingDestPaths: boolean;
  readonly requiredPaths: readonly string[];
}

export interface MkFileAction {
  readonly kind: 'mkfile';
  readonly path: string;
  readonly mode: number;
  readonly data: Uint8Array;
  readonly owner?: Chown | undefined;
  readonly timestamp: bigint;
}

export interface MkDirAction {
  readonly kind: 'mkdir';
  readonly path: string;
  readonly mode: number;
  readonly makeParents: boolean;
  readonly owner?: Chown | undefined;
  readonly timestamp: bigint;
}

export interface RmAction {
  readonly kind: 'rm';
  readonly path: string;
  readonly allowNotFound: boolean;
  readonly allowWildcard: boolean;
}

export interface SymlinkAction {
  readonly kind: 'symlink';
  readonly oldPath: string;
  readonly newPath: string;
  readonly owner?: Chown | undefined;
  readonly timestamp: bigint;
}

export type FileActionKind = CopyAction | MkFileAction | MkDirAction | RmAction | SymlinkAction;

export interface FileAction {
  /** Below the number of op inputs: that input; from there on: the result of action (input - N); -1 = scratch. */
  readonly input: number;
  /** The same scheme: where a copy reads from; -1 = none. */
  readonly secondaryInput: number;
  /** -1 = intermediate, else the output slot. */
  readonly output: number;
  readonly action: FileActionKind;
}

export interface Mount {
  /** Index into the op's inputs; -1 = empty. */
  readonly input: number;
  readonly selector?: string | undefined;
  readonly dest: string;
  /** Output slot; -1 = none. */
  readonly output: number;
  readonly readonly: boolean;
  readonly type: MountType;
  readonly contentCache?: 'default' | 'on' | 'off' | undefined;
}

export type MountType =
  | { readonly kind: 'bind' }
  | { readonly kind: 'cache'; readonly id: string; readonly sharing: 'shared' | 'private' | 'locked' }
  | { readonly kind: 'tmpfs'; readonly size: number }
  | {
      readonly kind: 'secret';
      readonly id: string;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
      readonly optional: boolean;
    }
  | {
      readonly kind: 'ssh';
      readonly id: string;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
      readonly optional: boolean;
    };

export interface ExecMeta {
  readonly args: readonly string[];
  readonly env: readonly string[];
  readonly cwd: string;
  readonly user: string;
  readonly proxyEnv?:
    Readonly<Partial<Record<'httpProxy' | 'httpsProxy' | 'ftpProxy' | 'noProxy' | 'allProxy', string>>> | undefined;
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly hostname: string;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent: string;
  readonly removeMountStubsRecursive: boolean;
  readonly validExitCodes: readonly number[];
}

export type Op =
  | { readonly kind: 'source'; readonly identifier: string; readonly attrs: Readonly<Record<string, string>> }
  | {
      readonly kind: 'exec';
      readonly meta: ExecMeta;
      readonly mounts: readonly Mount[];
      readonly network: 'sandbox' | 'host' | 'none';
      readonly security: 'sandbox' | 'insecure';
      readonly secretEnv: readonly { readonly id: string; readonly name: string; readonly optional: boolean }[];
      readonly cdiDevices: readonly { readonly name: string; readonly optional: boolean }[];
    }
  | { readonly kind: 'file'; readonly actions: readonly FileAction[] }
  /** Indices into the vertex's inputs, -1 = scratch. */
  | { readonly kind: 'merge'; readonly inputs: readonly number[] }
  | { readonly kind: 'diff'; readonly lower: number; readonly upper: number }
  | {
      readonly kind: 'build';
      readonly builder: number;
      readonly inputs: Readonly<Record<string, number>>;
      readonly attrs: Readonly<Record<string, string>>;
    };

/** An output of a vertex, as input of another. */
export interface VertexInput {
  readonly vertex: Vertex;
  readonly index: number;
}

/** Not part of the digest (`pb.OpMetadata` and `Definition.Source`). */
export interface VertexMetadata {
  /** `llb.customname`: what progress shows. */
  readonly name?: string | undefined;
  /** Further `OpMetadata.description` pairs, as `com.docker.dockerfile.v1.command`. */
  readonly description?: Readonly<Record<string, string>> | undefined;
  readonly ignoreCache?: boolean | undefined;
  /** Of a file op, for our own engine: files that are below already, but for their time, are written again. */
  readonly exactLayers?: boolean | undefined;
  readonly location?: SourceLocation | undefined;
  readonly progressGroup?: { readonly id: string; readonly name: string; readonly weak: boolean } | undefined;
}

/** A node of the graph. Made by `vertex()` only, so that the digest is always that of the op. */
export interface Vertex {
  readonly digest: Digest;
  readonly op: Op;
  readonly inputs: readonly VertexInput[];
  readonly platform?: Platform | undefined;
  /** The marshalled `pb.Op`. */
  readonly bytes: Uint8Array;
  readonly metadata: VertexMetadata;
}

/**
 * A graph with its result. `result` undefined = scratch: an image without any layer (BuildKit sends no definition then).
 */
export interface Definition {
  readonly result: VertexInput | undefined;
  /** Every vertex the result needs, inputs first, each once. */
  readonly vertices: readonly Vertex[];
}
