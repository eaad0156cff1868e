import { BuildError } from '../../contracts/index.ts';
import type { RunInstruction } from '../../dockerfile/index.ts';
import { parseHeredocWord, parseMount } from '../../dockerfile/index.ts';
import type { Mount as ParsedMount } from '../../dockerfile/index.ts';
import { mountOutput, vertex } from '../../llb/index.ts';
import type { Mount, Op, VertexInput } from '../../llb/index.ts';
import { envToStrings, setEnv } from '../env.ts';
import type { Env } from '../env.ts';
import { buildArg } from '../global-args.ts';
import { withHistory } from '../image-config.ts';
import { joinPath } from '../paths.ts';
import { proxyEnv } from '../proxy.ts';
import type { InstructionContext, InstructionHandler, StageState } from '../state.ts';
import { instructionText, nextStepName } from '../step-name.ts';
import { expand, expandOptional, wordLocation } from '../words.ts';
import { commandArgs, withShell } from './command.ts';
import { inlineFile } from './inline-file.ts';
import { runMounts } from './mounts.ts';

/** Where a script that a heredoc holds is run from. */
const SCRIPT_DIRECTORY = '/dev/pipes/';

type ExecOp = Extract<Op, { readonly kind: 'exec' }>;

export const dispatchRun: InstructionHandler<RunInstruction> = (state, instruction, context) => {
  const { options } = context;
  const command = runCommand(instruction, state, context);
  if (command.args.length === 0) {
    throw new BuildError({
      code: 'dockerfile',
      message: 'RUN has no command',
      hint: 'write RUN ["program", "argument"], or RUN command',
      location: context.location,
    });
  }
  const parsed = instruction.mounts.map((word) =>
    parseMount(word.text, (value) => expand({ ...word, text: value }, state, context), wordLocation(word, context)),
  );
  const inputs: VertexInput[] = [];
  const add = (input: VertexInput | undefined): number => (input === undefined ? -1 : inputs.push(input) - 1);
  context.usePath(state.root, '/');
  const root: Mount = { input: add(state.root), dest: '/', output: 0, readonly: false, type: { kind: 'bind' } };
  const script: Mount[] =
    command.script === undefined
      ? []
      : [
          {
            input: add(command.script),
            selector: '/',
            dest: SCRIPT_DIRECTORY,
            output: -1,
            readonly: true,
            type: { kind: 'bind' },
          },
        ];
  const { mounts, secretEnv, env } = runMounts(parsed, instruction, state, context, add);
  const op: ExecOp = {
    kind: 'exec',
    meta: {
      args: command.args,
      env: envToStrings(env),
      cwd: state.workdir,
      user: state.user,
      proxyEnv: proxyEnv(options.buildArgs),
      extraHosts: options.extraHosts,
      hostname: buildArg(options, 'BUILDKIT_SANDBOX_HOSTNAME') ?? options.hostname ?? '',
      ulimits: options.ulimits,
      cgroupParent: options.cgroupParent ?? '',
      removeMountStubsRecursive: true,
      validExitCodes: [],
    },
    mounts: [root, ...script, ...mounts, ...sharedMemory(options.shmSize)],
    network: networkMode(expandOptional(instruction.network, state, context), options.network),
    security: expandOptional(instruction.security, state, context) === 'insecure' ? 'insecure' : 'sandbox',
    secretEnv,
    cdiDevices: instruction.devices.map((word) => device(expand(word, state, context))),
  };
  const shown = instructionText(
    instruction,
    maskSecrets(state.env, parsed),
    { escape: context.escape, rawQuotes: true, keepUnset: true },
    command.summary,
  );
  const executed = vertex(op, inputs, {
    platform: context.platform,
    metadata: {
      name: nextStepName(state, context, shown),
      description: { 'com.docker.dockerfile.v1.command': instruction.original.trim() },
      location: context.location,
      ...(context.stage.noCache ? { ignoreCache: true } : {}),
    },
  });
  const history = `RUN ${[...argumentsShown(state), ...command.args].join(' ')} # buildkit`;
  return {
    ...state,
    root: mountOutput(executed, '/'),
    step: state.step + 1,
    image: withHistory(state.image, history, { layer: true }),
  };
};

interface RunCommand {
  readonly args: readonly string[];
  /** The file that holds the script, where that is what runs. */
  readonly script?: VertexInput | undefined;
  /** What progress adds to the line of the instruction. */
  readonly summary: string;
}

/**
 * A heredoc alone is a script: a file that is run when it begins with `#!`, else text for the shell. With a command
 * before it, the shell gets the text as it stands, heredoc and all. Its variables are the shell's to expand.
 */
function runCommand(instruction: RunInstruction, state: StageState, context: InstructionContext): RunCommand {
  const { command, heredocs } = instruction;
  const [first] = heredocs;
  if (command.form === 'exec' || first === undefined) {
    return { args: commandArgs(command, state.image), summary: '' };
  }
  if (parseHeredocWord(command.text) === undefined) {
    const bodies = heredocs.map(({ rawContent, content, name }) => `\n${rawContent ?? content}${name}`);
    return { args: withShell(command.text + bodies.join(''), state.image), summary: '' };
  }
  const summary = ` (${summarize(first.rawContent ?? first.content)})`;
  if (!first.content.startsWith('#!')) return { args: withShell(first.content, state.image), summary };
  const script = inlineFile(first.name, first.content, 0o755, context);
  return { args: withShell(joinPath(SCRIPT_DIRECTORY, first.name), state.image), script, summary };
}

function summarize(document: string): string {
  const [first = '', ...rest] = document.trim().replaceAll('\r\n', '\n').split('\n');
  return first + (rest.length > 0 ? '...' : '');
}

/** The ARGs that were declared, with the values they have now: `|2 A=1 B=2`. */
function argumentsShown({ buildArgs, env }: StageState): readonly string[] {
  const values = new Map(buildArgs.map(({ key, value }) => [key, env.get(key) ?? value ?? '']));
  return values.size === 0 ? [] : [`|${values.size}`, ...Array.from(values, ([key, value]) => `${key}=${value}`)];
}

/** `default` is the mode of the build. */
function networkMode(asked: string | undefined, build: ExecOp['network']): ExecOp['network'] {
  return asked === 'none' || asked === 'host' ? asked : build;
}

function sharedMemory(size: number | undefined): readonly Mount[] {
  if (size === undefined || size <= 0) return [];
  return [{ input: -1, dest: '/dev/shm', output: -1, readonly: false, type: { kind: 'tmpfs', size } }];
}

/** `name[,required]` */
function device(text: string): { readonly name: string; readonly optional: boolean } {
  const [name = '', ...flags] = text.split(',');
  return { name, optional: !flags.includes('required') };
}

/** A variable that a secret sets is shown as stars, so that nobody takes another value for it. */
function maskSecrets(env: Env, mounts: readonly ParsedMount[]): Env {
  return mounts.reduce(
    (masked, mount) =>
      mount.type === 'secret' && mount.env !== undefined ? setEnv(masked, mount.env, '****') : masked,
    env,
  );
}
