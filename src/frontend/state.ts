import type { Digest, SourceFile, SourceLocation } from '../contracts/index.ts';
import type { Instruction } from '../dockerfile/index.ts';
import type { ImageConfig } from '../image/types.ts';
import type { Platform, VertexInput } from '../llb/index.ts';
import type { Env } from './env.ts';
import type { FrontendOptions } from './types.ts';

/** A stage after some of its instructions: what the next one builds on. */
export interface StageState {
  /** The file system; undefined = scratch. */
  readonly root: VertexInput | undefined;
  /** ENV and ARG together, as a RUN sees them. */
  readonly env: Env;
  /** Absolute; where RUN starts and relative destinations lie. */
  readonly workdir: string;
  /** As in USER; empty = root. */
  readonly user: string;
  readonly image: ImageConfig;
  /** ARGs declared so far, those of the stages below first. */
  readonly buildArgs: readonly { readonly key: string; readonly value: string | undefined }[];
  /** Steps that progress has counted. */
  readonly step: number;
  /** CMD was given in this stage: ENTRYPOINT leaves it then. */
  readonly hasCmd: boolean;
}

/** What an instruction is carried out with, besides the state. The same for a stage but for what is marked. */
export interface InstructionContext {
  readonly file: SourceFile;
  readonly options: FrontendOptions;
  /** `\` or `` ` ``. */
  readonly escape: string;
  readonly globalArgs: Env;
  readonly platform: Platform;
  readonly stage: {
    /** As progress shows it; empty in a file of one stage. */
    readonly name: string;
    /** Steps of the stage that progress counts. */
    readonly total: number;
    readonly noCache: boolean;
    /** Several platforms are built: progress says whose step it is. */
    readonly showsPlatform: boolean;
  };
  /** Seconds, from SOURCE_DATE_EPOCH. */
  readonly epoch: number | undefined;
  readonly buildContext: VertexInput;
  /** Says that a path of a build context is read. */
  readonly usePath: PathUse;
  /** Of this instruction: the place in the file; that of FROM for a trigger of ONBUILD. */
  readonly location: SourceLocation;
  /** Of this instruction: it is a trigger of ONBUILD. */
  readonly onBuild: boolean;
  /** Of this instruction: file systems that it names by `--from` or a mount's `from`, in order. */
  readonly sources: readonly InstructionSource[];
}

/** What `from` stands for; undefined where nothing is named. */
export type InstructionSource = { readonly root: VertexInput | undefined } | undefined;

/** `path` is absolute in the source; nothing happens when the source is no directory of the user. */
export type PathUse = (source: VertexInput | undefined, path: string) => void;

/** Carries out one instruction; pure but for {@link InstructionContext.usePath}. */
export type InstructionHandler<I extends Instruction> = (
  state: StageState,
  instruction: I,
  context: InstructionContext,
) => StageState;

/** Paths used of each source vertex that reads a directory of the user, by its digest. */
export type UsedPaths = ReadonlyMap<Digest, ReadonlySet<string>>;
