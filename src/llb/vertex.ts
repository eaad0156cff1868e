import { hash } from 'node:crypto';
import type { Digest } from '../contracts/index.ts';
import { encode } from './codec.ts';
import { Op as OpMessage } from './gen/ops.ts';
import { toWire } from './to-wire.ts';
import type { Chown, Mount, Op, Platform, UserRef, Vertex, VertexInput, VertexMetadata } from './types.ts';

export interface VertexOptions {
  /** Kept only by ops that depend on it: exec, build, images. */
  readonly platform?: Platform | undefined;
  readonly metadata?: VertexMetadata | undefined;
}

/**
 * Makes a vertex by the rules of BuildKit's client (client/llb): mounts of an exec op are sorted by destination and
 * get their output slots in that order (a slot for each whose `output` is not -1), secrets and ssh sockets follow;
 * equal inputs become one; only what the platform changes carries it. Indices in `op` count `inputs` as given.
 */
export function vertex(op: Op, inputs: readonly VertexInput[], options: VertexOptions = {}): Vertex {
  const arranged = op.kind === 'exec' ? { ...op, mounts: arrangeMounts(op.mounts) } : op;
  const order = arranged.kind === 'exec' ? arranged.mounts.map((mount) => mount.input) : inputs.keys();
  const { kept, renumbered } = mergeInputs(inputs, order);
  const final = renumber(arranged, inputs.length, kept.length, renumbered);
  const platform = dependsOnPlatform(final) ? options.platform : undefined;
  const bytes = encode(OpMessage, toWire(final, kept, platform));
  return {
    digest: digestOf(bytes),
    op: final,
    inputs: kept,
    ...(platform === undefined ? {} : { platform }),
    bytes,
    metadata: options.metadata ?? {},
  };
}

/** The same vertex with other metadata, which is not part of the digest. */
export function withMetadata(base: Vertex, metadata: VertexMetadata): Vertex {
  return { ...base, metadata };
}

/** The output that a mount of an exec vertex makes; undefined when it makes none. */
export function mountOutput(base: Vertex, dest: string): VertexInput | undefined {
  if (base.op.kind !== 'exec') return undefined;
  const mount = base.op.mounts.find((m) => m.dest === dest && m.output >= 0);
  return mount === undefined ? undefined : { vertex: base, index: mount.output };
}

export function digestOf(bytes: Uint8Array): Digest {
  return `sha256:${hash('sha256', bytes, 'hex')}`;
}

function dependsOnPlatform(op: Op): boolean {
  if (op.kind === 'source') return /^(?:docker-image|oci-layout):\/\//.test(op.identifier);
  return op.kind === 'exec' || op.kind === 'build';
}

function arrangeMounts(mounts: readonly Mount[]): readonly Mount[] {
  const isFile = ({ type }: Mount): boolean => type.kind === 'secret' || type.kind === 'ssh';
  const sorted = mounts
    .filter((mount) => !isFile(mount))
    .sort((a, b) => (a.dest < b.dest ? -1 : a.dest > b.dest ? 1 : 0));
  let outputs = 0;
  return [
    ...sorted.map((mount) => ({ ...mount, output: mount.output < 0 ? -1 : outputs++ })),
    ...mounts.filter((mount) => mount.type.kind === 'secret'),
    ...mounts.filter((mount) => mount.type.kind === 'ssh'),
  ];
}

/** Inputs in the order of their first use, equal ones once; unused ones last. */
function mergeInputs(
  inputs: readonly VertexInput[],
  order: Iterable<number>,
): { readonly kept: readonly VertexInput[]; readonly renumbered: readonly number[] } {
  const kept: VertexInput[] = [];
  const indices = new Map<string, number>();
  const renumbered: number[] = [];
  for (const i of [...order, ...inputs.keys()]) {
    const input = inputs[i];
    if (input === undefined || renumbered[i] !== undefined) continue;
    const key = `${input.vertex.digest} ${input.index}`;
    let index = indices.get(key);
    if (index === undefined) {
      index = kept.push(input) - 1;
      indices.set(key, index);
    }
    renumbered[i] = index;
  }
  return { kept, renumbered };
}

function renumber(op: Op, before: number, after: number, renumbered: readonly number[]): Op {
  const input = (i: number): number => renumbered[i] ?? -1;
  // In a file op, indices from the number of inputs on are results of actions.
  const inputOrAction = (i: number): number => (i >= before ? i - before + after : input(i));
  switch (op.kind) {
    case 'source':
      return op;
    case 'exec':
      return { ...op, mounts: op.mounts.map((mount) => ({ ...mount, input: input(mount.input) })) };
    case 'merge':
      return { ...op, inputs: op.inputs.map(input) };
    case 'diff':
      return { ...op, lower: input(op.lower), upper: input(op.upper) };
    case 'build':
      return {
        ...op,
        builder: input(op.builder),
        inputs: Object.fromEntries(Object.entries(op.inputs).map(([name, i]) => [name, input(i)])),
      };
    case 'file':
      return {
        ...op,
        actions: op.actions.map((entry) => ({
          ...entry,
          input: inputOrAction(entry.input),
          secondaryInput: inputOrAction(entry.secondaryInput),
          action:
            'owner' in entry.action && entry.action.owner !== undefined
              ? { ...entry.action, owner: renumberOwner(entry.action.owner, input) }
              : entry.action,
        })),
      };
  }
}

function renumberOwner(owner: Chown, input: (i: number) => number): Chown {
  const of = (user: UserRef | undefined): UserRef | undefined =>
    user?.kind === 'name' ? { ...user, input: input(user.input ?? -1) } : user;
  return { user: of(owner.user), group: of(owner.group) };
}
