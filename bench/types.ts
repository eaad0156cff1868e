/** What the parts of the bench say to each other. */

export type ToolId = 'slipway' | 'buildkit' | 'buildah';

/** A program with its arguments; several run one after the other and are timed together. */
export interface Command {
  readonly argv: readonly [string, ...string[]];
  readonly env?: Readonly<Record<string, string>> | undefined;
  readonly cwd?: string | undefined;
}

export type Output =
  /** The result stays in the tool's cache. */
  | { readonly kind: 'none' }
  /** Named in the tool's own image store. */
  | { readonly kind: 'tag'; readonly name: string }
  | { readonly kind: 'oci'; readonly dest: string; readonly compression: 'gzip' | 'zstd' }
  /** A directory with the files of the image. */
  | { readonly kind: 'files'; readonly dest: string }
  /** `HOST:PORT/name:tag`, plain http. */
  | { readonly kind: 'push'; readonly name: string };

export interface BuildRequest {
  readonly context: string;
  /** Absolute; absent = the context's. */
  readonly dockerfile?: string | undefined;
  readonly output: Output;
}

/** A builder, set up as its users have it. */
export interface Tool {
  readonly id: ToolId;
  /** For the report: names and versions of all that does the work. */
  readonly version: string;
  build(request: BuildRequest): readonly Command[];
  /** Drops all that earlier builds left: cache, images, pulled layers. Not timed. */
  prune(): Promise<void>;
  /** Processes that work for it beside its commands. */
  daemons(): readonly number[];
}

/** The least that plain tools need for the same: a script of bash (`pipefail` is on), run in the bench's directory. */
export interface Floor {
  readonly name: string;
  readonly script: string;
  /** A path below the directory that it makes; removed after each run, not timed. */
  readonly makes?: string | undefined;
}

/** One line of the table. */
export interface Case {
  readonly name: string;
  /** Slipway's median over the best peer's: at most this. Absent where no peer can be compared with. */
  readonly target?: number | undefined;
  readonly request: (tool: Tool, run: number) => BuildRequest;
  /** Before each run of each tool, not timed: changes a file, drops caches. `run` is another number each time. */
  readonly before?: ((tool: Tool, run: number) => Promise<void> | void) | undefined;
  /** Builds once before the timed runs, so that the cache is filled. */
  readonly warm?: boolean | undefined;
  readonly floors?: readonly Floor[] | undefined;
  /** Timed runs of each tool in a full bench. */
  readonly runs: number;
  /** The image that all tools must make alike; compared once: as an OCI archive, or as the registry has it after a push. */
  readonly compare?: ((tool: Tool) => BuildRequest) | undefined;
  /** A run of a peer takes more than some seconds: its memory is taken in a timed run from the first on. */
  readonly slow?: boolean | undefined;
  /** Tools that cannot do it, and why. */
  readonly without?: Partial<Readonly<Record<ToolId, string>>> | undefined;
  /** Bytes that went over the network, counted in a run of its own. */
  readonly traffic?: ((tool: Tool, registry: string, run: number) => BuildRequest) | undefined;
  /** The size of a file that a build wrote is compared, too. */
  readonly sizeOf?: ((tool: Tool) => string) | undefined;
}

export interface Workload {
  /** `W4`. */
  readonly id: string;
  readonly title: string;
  /** Part of the short bench. */
  readonly short: boolean;
  /** Makes contexts and images; called when one of its cases is asked for. */
  prepare(place: Place): Promise<readonly Case[]>;
}

/** Where a bench works and what it found there. */
export interface Place {
  /** Its directory; removed at the end. */
  readonly dir: string;
  /** `HOST:PORT` of a registry of its own, plain http. */
  readonly registry: string;
  /** A small image with a shell, as the tools name it. */
  readonly baseImage: string;
  /** An image with a Go compiler; undefined when none of the tools can get it. */
  readonly goImage: string | undefined;
  readonly tools: readonly Tool[];
  /** Sizes are a tenth, for a look at the bench itself. */
  readonly small: boolean;
  /** Empties the registry. */
  emptyRegistry(): Promise<void>;
  /** Runs one build, not timed. */
  run(tool: Tool, request: BuildRequest): Promise<void>;
}
