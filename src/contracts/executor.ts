import type { LayerId } from './layer.ts';

/**
 * The kernel side: a child process in its own mount and pid namespace (`executor/`) that runs steps and makes
 * directories. Started at the first request, ends with its channel. Requests and answers are plain JSON.
 */
export interface Executor {
  /** Runs one process on the given root; resolves when it ended, whatever its exit code. */
  exec(request: ExecRequest, options: ExecOptions): Promise<ExecResult>;
  /** Makes the directory of a layer (`Store.layerDir(id)`), complete and owned as its tree says. Idempotent. */
  materialize(request: MaterializeRequest, options: { readonly signal: AbortSignal }): Promise<void>;
  /** Starts the child ahead of the first request; its errors appear with that request. */
  prestart?(): void;
  /** Ends the child and with it every process and mount. */
  close(): Promise<void>;
}

export interface ExecOptions {
  readonly signal: AbortSignal;
  /** Output as it comes: stream 1 is stdout, 2 is stderr. */
  readonly onOutput: (stream: 1 | 2, data: Uint8Array) => void;
}

export interface ExecRequest {
  /** Lower directories, bottom to top; all materialized. */
  readonly layers: readonly LayerId[];
  /** The new layer that takes the writes; its tree is in the store when `exec` resolves with exit code accepted. */
  readonly upper: LayerId;
  /** False for `slipway run --rm`: no tree is made of the writes. Default true. */
  readonly scan?: boolean | undefined;
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
  /** As in USER: `user`, `user:group`, `uid`, `uid:gid`; looked up in the root's passwd and group. Empty = root. */
  readonly user: string;
  readonly hostname?: string | undefined;
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[] | undefined;
  readonly network: 'sandbox' | 'host' | 'none';
  readonly security: 'sandbox' | 'insecure';
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  /** Bytes of /dev/shm; absent = 64 MiB, Docker's default. */
  readonly shmSize?: number | undefined;
  readonly mounts: readonly ExecMount[];
  /** Writes to the root fail (LLB root mount with `readonly`). */
  readonly rootReadonly?: boolean | undefined;
  /** Exit codes that count as success; absent = [0]. */
  readonly validExitCodes?: readonly number[] | undefined;
  /** Inherit our terminal (`slipway run -it`). */
  readonly tty?: boolean | undefined;
}

/** A mount besides the root (LLB `pb.Mount`). `target` is absolute; parents are made and removed again if still empty. */
export type ExecMount =
  | {
      readonly type: 'bind';
      readonly target: string;
      /** Materialized layers, bottom to top, whose `source` is mounted. */
      readonly layers: readonly LayerId[];
      /** Path below the layers' root, resolved inside it. */
      readonly source: string;
      /** When false, writes are allowed and discarded. */
      readonly readonly: boolean;
    }
  | {
      readonly type: 'cache';
      readonly target: string;
      /** Names the cache directory in the store (`Store.cacheDir`); any string, hashed for the path. */
      readonly id: string;
      readonly sharing: 'shared' | 'private' | 'locked';
      /**
       * Names a build that wants the cache to start empty: what it holds is removed unless this build did so already,
       * but for what another build uses right now.
       */
      readonly emptyFor?: string | undefined;
      /** Path below the cache's root. */
      readonly source: string;
      readonly readonly: boolean;
      /** Seeds the cache when it is empty. */
      readonly seed?: { readonly layers: readonly LayerId[]; readonly source: string } | undefined;
      /** Of the root directory when it is new. */
      readonly mode?: number | undefined;
      readonly uid?: number | undefined;
      readonly gid?: number | undefined;
    }
  | {
      readonly type: 'secret';
      readonly target: string;
      /** The value's host file, made by the main process with mode 0600 on a tmpfs where there is one. */
      readonly hostFile: string;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    }
  | {
      readonly type: 'ssh';
      readonly target: string;
      readonly hostSocket: string;
      readonly uid: number;
      readonly gid: number;
      readonly mode: number;
    }
  | {
      readonly type: 'tmpfs';
      readonly target: string;
      /** Bytes; 0 or absent = the kernel's default. */
      readonly size?: number | undefined;
      readonly readonly?: boolean | undefined;
    };

export interface ExecResult {
  readonly exitCode: number;
  /** Name of the signal that ended the process, as `SIGKILL`. */
  readonly signal?: string | undefined;
  /** The kernel killed it for lack of memory. */
  readonly oomKilled?: boolean | undefined;
  /** Bytes of the new layer's own files, where its tree was made. */
  readonly size?: number | undefined;
}

/** How to make a layer's directory. */
export type MaterializeRequest =
  /** Unpack a blob of the store (a base image's layer). */
  | { readonly kind: 'blob'; readonly layer: LayerId; readonly blobPath: string; readonly mediaType: string }
  /**
   * Write the layer's tree (in the store) with the bytes that `plan` names: a file of lines `path NUL location NL` where
   * location is `f` + host path (ours, may be hard-linked), `o` + host path (ours, to be copied: it is seen beside its copy), `c` + host path (the user's: copy and verify), or `b` + base64.
   */
  | { readonly kind: 'tree'; readonly layer: LayerId; readonly planPath: string };
