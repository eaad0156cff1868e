/**
 * The Dockerfile as plain data, parsed once. Every node carries its range. Words are unexpanded text: expansion needs
 * the environment of the moment, which the front end knows (`expand.ts`).
 */
import type { SourceFile, SourceRange } from '../contracts/index.ts';

/** Text with its place. */
export interface Word {
  readonly text: string;
  readonly range: SourceRange;
}

export interface Directive {
  readonly name: 'syntax' | 'escape' | 'check';
  readonly value: string;
  readonly range: SourceRange;
}

/** `<<EOF`, `<<-"EOF"`, `3<<EOF`: BuildKit's parser.Heredoc. */
export interface Heredoc {
  /** The delimiter without quotes; also the file name in COPY and ADD. */
  readonly name: string;
  /** False when any part of the delimiter was quoted. */
  readonly expand: boolean;
  /** `<<-`: leading tabs were stripped from `content`. */
  readonly chomp: boolean;
  readonly fileDescriptor: number;
  /** With its final newline. */
  readonly content: string;
  /** `content` with the tabs that `<<-` strips: what a shell is given, and what ONBUILD stores. */
  readonly rawContent?: string | undefined;
  /** The word itself, `<<EOF`. */
  readonly range: SourceRange;
}

/** `--name=value`; value undefined for `--name`. */
export interface Flag {
  readonly name: string;
  readonly value: string | undefined;
  readonly range: SourceRange;
  readonly valueRange: SourceRange | undefined;
}

interface InstructionBase {
  /** The keyword as written, as `RUN` or `run`. */
  readonly keyword: string;
  readonly keywordRange: SourceRange;
  /** The whole instruction, heredoc bodies included. */
  readonly range: SourceRange;
  /** The instruction as one line, as BuildKit prints it (`original`): continuations joined, comments dropped. */
  readonly original: string;
  /** All flags as written, for checks; typed fields below are made from them. */
  readonly flags: readonly Flag[];
  /** Comment lines directly above, without `#`, for `# check=` and documentation. */
  readonly comments: readonly Word[];
}

/** A key with its value; both unexpanded. */
export interface KeyValue {
  readonly key: Word;
  readonly value: Word;
}

/** RUN, CMD, ENTRYPOINT: shell form (one string) or exec form (JSON array). */
export type CommandForm =
  | { readonly form: 'shell'; readonly text: string; readonly range: SourceRange }
  | { readonly form: 'exec'; readonly args: readonly string[]; readonly range: SourceRange };

export interface FromInstruction extends InstructionBase {
  readonly name: 'FROM';
  readonly image: Word;
  /** `AS name`, as written. */
  readonly as: Word | undefined;
  /** The `AS` keyword as written. */
  readonly asKeyword: Word | undefined;
  readonly platform: Word | undefined;
}

export interface ArgInstruction extends InstructionBase {
  readonly name: 'ARG';
  readonly args: readonly { readonly key: Word; readonly value: Word | undefined }[];
}

export interface EnvInstruction extends InstructionBase {
  readonly name: 'ENV';
  readonly pairs: readonly KeyValue[];
  /** `ENV key rest of line`. */
  readonly legacy: boolean;
}

export interface LabelInstruction extends InstructionBase {
  readonly name: 'LABEL';
  readonly pairs: readonly KeyValue[];
  readonly legacy: boolean;
}

export interface RunInstruction extends InstructionBase {
  readonly name: 'RUN';
  readonly command: CommandForm;
  readonly heredocs: readonly Heredoc[];
  /** `--mount=` values as written (CSV), parsed by `mount.ts` after expansion. */
  readonly mounts: readonly Word[];
  readonly network: Word | undefined;
  readonly security: Word | undefined;
  readonly devices: readonly Word[];
}

interface CopyLike extends InstructionBase {
  /** Paths, URLs or heredocs, in order, without the destination. */
  readonly sources: readonly (({ readonly kind: 'path' } & Word) | ({ readonly kind: 'heredoc' } & Heredoc))[];
  readonly destination: Word;
  readonly chown: Word | undefined;
  readonly chmod: Word | undefined;
  readonly link: boolean;
  readonly excludes: readonly Word[];
}

export interface CopyInstruction extends CopyLike {
  readonly name: 'COPY';
  readonly from: Word | undefined;
  readonly parents: boolean;
}

export interface AddInstruction extends CopyLike {
  readonly name: 'ADD';
  readonly checksum: Word | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly unpack: boolean | undefined;
}

export interface WorkdirInstruction extends InstructionBase {
  readonly name: 'WORKDIR';
  readonly path: Word;
}
export interface UserInstruction extends InstructionBase {
  readonly name: 'USER';
  readonly user: Word;
}
export interface CmdInstruction extends InstructionBase {
  readonly name: 'CMD';
  readonly command: CommandForm;
}
export interface EntrypointInstruction extends InstructionBase {
  readonly name: 'ENTRYPOINT';
  readonly command: CommandForm;
}
export interface ShellInstruction extends InstructionBase {
  readonly name: 'SHELL';
  readonly shell: readonly string[];
}
export interface ExposeInstruction extends InstructionBase {
  readonly name: 'EXPOSE';
  readonly ports: readonly Word[];
}
export interface VolumeInstruction extends InstructionBase {
  readonly name: 'VOLUME';
  readonly volumes: readonly Word[];
}
export interface StopsignalInstruction extends InstructionBase {
  readonly name: 'STOPSIGNAL';
  readonly signal: Word;
}
export interface HealthcheckInstruction extends InstructionBase {
  readonly name: 'HEALTHCHECK';
  /** `none`, or how to test; durations in nanoseconds, absent = inherit. */
  readonly check:
    | { readonly kind: 'none' }
    | {
        readonly kind: 'cmd';
        readonly command: CommandForm;
        readonly interval?: number | undefined;
        readonly timeout?: number | undefined;
        readonly startPeriod?: number | undefined;
        readonly startInterval?: number | undefined;
        readonly retries?: number | undefined;
      };
}
export interface OnbuildInstruction extends InstructionBase {
  readonly name: 'ONBUILD';
  /** The trigger as text, as the image config stores it. */
  readonly expression: string;
  /** The trigger parsed. */
  readonly instruction: Instruction;
}
export interface MaintainerInstruction extends InstructionBase {
  readonly name: 'MAINTAINER';
  readonly maintainer: Word;
}

/** Every instruction that a stage may hold. */
export type Instruction =
  | ArgInstruction
  | EnvInstruction
  | LabelInstruction
  | RunInstruction
  | CopyInstruction
  | AddInstruction
  | WorkdirInstruction
  | UserInstruction
  | CmdInstruction
  | EntrypointInstruction
  | ShellInstruction
  | ExposeInstruction
  | VolumeInstruction
  | StopsignalInstruction
  | HealthcheckInstruction
  | OnbuildInstruction
  | MaintainerInstruction;

export interface Stage {
  /** From 0, in file order. */
  readonly index: number;
  /** Lower-case; undefined without AS. */
  readonly name: string | undefined;
  readonly from: FromInstruction;
  readonly instructions: readonly Instruction[];
  readonly range: SourceRange;
}

/** What the parser notices and checks report (`NoEmptyContinuation`, ...). */
export interface ParseWarning {
  readonly rule: string;
  readonly message: string;
  readonly range: SourceRange;
}

export interface Dockerfile {
  readonly file: SourceFile;
  readonly directives: readonly Directive[];
  /** `\` or `` ` ``. */
  readonly escape: string;
  /** ARG instructions before the first FROM. */
  readonly globalArgs: readonly ArgInstruction[];
  readonly stages: readonly Stage[];
  readonly warnings: readonly ParseWarning[];
}
