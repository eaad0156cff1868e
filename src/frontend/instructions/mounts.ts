/** `RUN --mount`: parsed values to mounts of the exec op. */
import { BuildError } from '../../contracts/index.ts';
import type { Mount as ParsedMount, RunInstruction } from '../../dockerfile/index.ts';
import { vertex } from '../../llb/index.ts';
import type { Mount, Op, VertexInput } from '../../llb/index.ts';
import { cleanPath } from '../../pattern/index.ts';
import { setEnv } from '../env.ts';
import type { Env } from '../env.ts';
import { buildArg } from '../global-args.ts';
import { absolutePath } from '../paths.ts';
import type { InstructionContext, StageState } from '../state.ts';
import { wordLocation } from '../words.ts';

const SECRET_MODE = 0o400;
const SSH_MODE = 0o600;
const CACHE_DIRECTORY_MODE = 0o755;
/** Where a directory of a given owner and mode is made to seed a cache. */
const CACHE_SEED = '/cache';

export interface RunMounts {
  readonly mounts: readonly Mount[];
  readonly secretEnv: Extract<Op, { readonly kind: 'exec' }>['secretEnv'];
  /** With SSH_AUTH_SOCK where a socket is mounted. */
  readonly env: Env;
}

/** `add` makes a file system an input of the op. */
export function runMounts(
  parsed: readonly ParsedMount[],
  instruction: RunInstruction,
  state: StageState,
  context: InstructionContext,
  add: (input: VertexInput | undefined) => number,
): RunMounts {
  const mounts: Mount[] = [];
  const secretEnv: { readonly id: string; readonly name: string; readonly optional: boolean }[] = [];
  let { env } = state;
  let sockets = 0;
  for (const [i, mount] of parsed.entries()) {
    switch (mount.type) {
      case 'secret':
        if (mount.env !== undefined) secretEnv.push({ id: mount.id, name: mount.env, optional: !mount.required });
        if (mount.target !== undefined) {
          mounts.push(fileMount(mount.target, { kind: 'secret', id: mount.id, ...ownership(mount, SECRET_MODE) }));
        }
        break;
      case 'ssh': {
        const target = mount.target ?? `/run/buildkit/ssh_agent.${sockets}`;
        if (sockets === 0 && !env.has('SSH_AUTH_SOCK')) env = setEnv(env, 'SSH_AUTH_SOCK', target);
        sockets++;
        mounts.push(fileMount(target, { kind: 'ssh', id: mount.id ?? '', ...ownership(mount, SSH_MODE) }));
        break;
      }
      default:
        mounts.push(directoryMount(mount, i, instruction, state, context, add));
    }
  }
  return { mounts, secretEnv, env };
}

type DirectoryMount = Extract<ParsedMount, { readonly type: 'bind' | 'cache' | 'tmpfs' }>;

function directoryMount(
  mount: DirectoryMount,
  index: number,
  instruction: RunInstruction,
  state: StageState,
  context: InstructionContext,
  add: (input: VertexInput | undefined) => number,
): Mount {
  const dest = mountTarget(mount.target, index, instruction, state, context);
  if (mount.type === 'tmpfs') {
    const { readonly, size = 0 } = mount;
    return { input: -1, dest, output: -1, readonly, type: { kind: 'tmpfs', size } };
  }
  const source = absolutePath('/', mount.source);
  const named = context.sources[index];
  let from = mount.from === undefined ? (mount.type === 'bind' ? context.buildContext : undefined) : named?.root;
  context.usePath(from, source);
  let selector = source === '/' ? undefined : source;
  if (mount.type === 'bind') {
    const type = { kind: 'bind' } as const;
    return { input: add(from), ...selected(selector), dest, output: -1, readonly: mount.readonly, type };
  }
  if (selector === undefined && (mount.uid ?? mount.gid ?? mount.mode) !== undefined) {
    from = seededCache(from, mount, context);
    selector = CACHE_SEED;
  }
  const id = `${buildArg(context.options, 'BUILDKIT_CACHE_MOUNT_NS') ?? ''}/${mount.id ?? cleanPath(mount.target)}`;
  return {
    input: add(from),
    ...selected(selector),
    dest,
    output: -1,
    readonly: mount.readonly,
    type: { kind: 'cache', id, sharing: mount.sharing },
  };
}

function selected(selector: string | undefined): Pick<Mount, 'selector'> {
  return selector === undefined ? {} : { selector };
}

function mountTarget(
  target: string,
  index: number,
  instruction: RunInstruction,
  state: StageState,
  context: InstructionContext,
): string {
  // An absolute target is left as it is written.
  const dest = target.startsWith('/') ? target : absolutePath(state.workdir, target);
  if (cleanPath(dest) !== '/') return dest;
  const word = instruction.mounts[index];
  throw new BuildError({
    code: 'dockerfile',
    message: `a mount cannot have the target ${JSON.stringify(target === '' ? '/' : target)}`,
    hint: 'give a directory below the root: target=/path',
    location: word === undefined ? context.location : wordLocation(word, context),
  });
}

/** An empty directory with the owner and mode that the mount asks for. */
function seededCache(
  from: VertexInput | undefined,
  mount: Extract<ParsedMount, { readonly type: 'cache' }>,
  context: InstructionContext,
): VertexInput {
  context.usePath(from, '/');
  const made = vertex(
    {
      kind: 'file',
      actions: [
        {
          input: from === undefined ? -1 : 0,
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'mkdir',
            path: CACHE_SEED,
            mode: (mount.mode ?? CACHE_DIRECTORY_MODE) & 0o777,
            makeParents: false,
            owner: { user: { kind: 'id', id: mount.uid ?? 0 }, group: { kind: 'id', id: mount.gid ?? 0 } },
            timestamp: -1n,
          },
        },
      ],
    },
    from === undefined ? [] : [from],
    { metadata: { name: '[internal] setting cache mount permissions', location: context.location } },
  );
  return { vertex: made, index: 0 };
}

function fileMount(dest: string, type: Mount['type']): Mount {
  return { input: -1, dest, output: -1, readonly: false, type };
}

function ownership(
  mount: Extract<ParsedMount, { readonly type: 'secret' | 'ssh' }>,
  mode: number,
): { readonly uid: number; readonly gid: number; readonly mode: number; readonly optional: boolean } {
  return { uid: mount.uid ?? 0, gid: mount.gid ?? 0, mode: mount.mode ?? mode, optional: !mount.required };
}
