/**
 * FileOp: a chain of actions on trees (BuildKit: solver/llbsolver/ops/file.go). Actions that follow one another grow one
 * layer; a result that is an output, or that more than one action uses, is a layer of its own. No directory is made.
 */
import { BuildError } from '../../contracts/index.ts';
import type { FileTree, Layer, Snapshot, WorkContext } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import type { CopyAction, FileAction, Vertex } from '../../llb/index.ts';
import type { Contents } from './contents.ts';
import { contextLayer } from './context-layer.ts';
import { copySources } from './copy.ts';
import { saveFileLayer } from './file-layer.ts';
import type { LayerDeps } from './file-layer.ts';
import { makeDirectory, makeFile, makeSymlink, stampOf } from './make.ts';
import type { Making, Stamp } from './make.ts';
import type { CopySource } from './missing.ts';
import { resolveOwner } from './owner.ts';
import { removePaths } from './remove.ts';
import type { Selections } from './selections.ts';
import { StagedTree } from './staged-tree.ts';

export interface FileOpDeps extends LayerDeps {
  readonly selections: Selections;
  readonly contents: Contents;
  /** The time of what is made without one. */
  readonly now: () => Stamp;
}

/** A file system between two actions: settled, or still growing. */
type Result =
  | { readonly kind: 'settled'; readonly snapshot: Snapshot }
  | { readonly kind: 'growing'; readonly below: readonly Layer[]; readonly staged: StagedTree };

/** One snapshot an output. @throws BuildError `source-missing`, `copy`, `hostile` (archives). */
export async function runFileOp(
  vertex: Vertex,
  actions: readonly FileAction[],
  inputs: readonly Snapshot[],
  context: WorkContext,
  deps: FileOpDeps,
): Promise<readonly Snapshot[]> {
  const run: Run = { vertex, actions, inputs, context, deps, results: new Map(), uses: countUses(actions) };
  const outputs: Snapshot[] = [];
  for (const [at, { output }] of actions.entries()) {
    if (output < 0) continue;
    const result = await resultOf(run, inputs.length + at, []);
    if (result.kind === 'growing') throw new BuildError({ code: 'internal', message: 'an output is not settled' });
    outputs[output] = result.snapshot;
  }
  return outputs;
}

interface Run {
  readonly vertex: Vertex;
  readonly actions: readonly FileAction[];
  readonly inputs: readonly Snapshot[];
  readonly context: WorkContext;
  readonly deps: FileOpDeps;
  /** By index: inputs first, then actions. */
  readonly results: Map<number, Promise<Result>>;
  readonly uses: ReadonlyMap<number, number>;
}

function countUses(actions: readonly FileAction[]): ReadonlyMap<number, number> {
  const uses = new Map<number, number>();
  for (const { input, secondaryInput } of actions) {
    for (const index of [input, secondaryInput]) uses.set(index, (uses.get(index) ?? 0) + 1);
  }
  return uses;
}

/** What index `at` (an input, or an action's result) is; -1 = scratch. `path` guards against actions in a circle. */
async function resultOf(run: Run, at: number, path: readonly number[]): Promise<Result> {
  if (at < 0) return { kind: 'settled', snapshot: snapshotOf([]) };
  const input = run.inputs[at];
  if (input !== undefined) return { kind: 'settled', snapshot: input };
  const action = run.actions[at - run.inputs.length];
  if (action === undefined || path.includes(at)) {
    throw new BuildError({ code: 'internal', message: `the file op has no usable result ${at}` });
  }
  const known = run.results.get(at);
  if (known !== undefined) return known;
  const made = carryOut(run, action, at, [...path, at]);
  run.results.set(at, made);
  return made;
}

async function carryOut(run: Run, action: FileAction, at: number, path: readonly number[]): Promise<Result> {
  const under = await resultOf(run, action.input, path);
  let below: readonly Layer[];
  let staged: StagedTree;
  if (under.kind === 'growing') ({ below, staged } = under);
  else {
    // A stage that begins with a directory of the user (`FROM name` of a named context).
    const { layers, files } = under.snapshot.inPlace
      ? snapshotOf([await contextLayer(under.snapshot.files, '/', run.deps)])
      : under.snapshot;
    below = layers;
    staged = new StagedTree(files, run.vertex.metadata.exactLayers === true);
  }
  await act(run, action, at, staged, path);
  const shared = action.output >= 0 || (run.uses.get(at) ?? 0) > 1;
  if (!shared) return { kind: 'growing', below, staged };
  const layer = await saveFileLayer(await staged.finish(), run.deps);
  return { kind: 'settled', snapshot: snapshotOf([...below, layer]) };
}

async function act(
  run: Run,
  { action, secondaryInput }: FileAction,
  at: number,
  staged: StagedTree,
  path: readonly number[],
): Promise<void> {
  if (action.kind === 'rm') {
    await removePaths(staged, action);
    return;
  }
  const treeOf = async (index: number): Promise<FileTree> => treeOfResult(await resultOf(run, index, path));
  const { events, location } = run.context;
  const { digest } = run.vertex;
  const warn = (message: string): void => {
    events({ type: 'warning', vertex: digest, message, location });
  };
  const owner = await resolveOwner(action.owner, treeOf, warn);
  const making: Making = { owner, stamp: stampOf(action.timestamp) ?? run.deps.now() };
  switch (action.kind) {
    case 'mkdir':
      await makeDirectory(staged, action, making);
      return;
    case 'mkfile':
      await makeFile(staged, action, making);
      return;
    case 'symlink':
      await makeSymlink(staged, action, making);
      return;
    case 'copy': {
      const source: CopySource = {
        tree: await treeOf(secondaryInput),
        snapshot: run.inputs[secondaryInput],
        vertex: run.vertex.inputs[secondaryInput]?.vertex,
      };
      await copy(run, action, at, source, staged, making);
      return;
    }
  }
}

function treeOfResult(result: Result): FileTree {
  return result.kind === 'growing' ? result.staged : result.snapshot.files;
}

async function copy(
  run: Run,
  action: CopyAction,
  at: number,
  source: CopySource,
  staged: StagedTree,
  making: Making,
): Promise<void> {
  const { vertex, inputs, deps, context } = run;
  const selection = await deps.selections.take(vertex, at - inputs.length, source, action);
  let unpack;
  if (action.attemptUnpackDockerCompatibility) {
    const { unpackerFor } = await import('./unpack.ts');
    unpack = unpackerFor({ staged, selection, action, making, contents: deps.contents, signal: context.signal });
  }
  await copySources(staged, selection, action, making, unpack);
}
