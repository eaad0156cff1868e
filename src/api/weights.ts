import type { Layer, Snapshot, SolveResult, Tree } from '../contracts/index.ts';
import type { FrontendResult, StageInfo } from '../frontend/index.ts';
import type { Platform, Vertex, VertexInput } from '../llb/index.ts';
import type { Store } from '../store/index.ts';
import type { StageWeight } from './options.ts';
import { platformText } from './inputs/platform.ts';
import { rowBytes, Scales } from './scales.ts';

/**
 * What every stage weighed and what of it shipped.
 *
 * Weight: bytes of the regular files of the flattened stage, base included, each hard-linked file once. Shipped: for the
 * target and the stages that it is FROM, all of it; for others the bytes that `COPY --from` brought from there into the
 * result, through however many stages in between (followed by content digest).
 */
export async function stageWeights(
  stages: readonly StageInfo[],
  target: StageInfo,
  solved: SolveResult,
  store: Store,
): Promise<readonly StageWeight[]> {
  // A build that was cached whole looked at no stage: the same layers out of the same graph weigh what they did.
  const key = `stages:${target.result?.vertex.digest ?? 'scratch'}:${solved.snapshot.layers.map((layer) => layer.id).join(',')}`;
  const known = store.readFact(key);
  if (known !== undefined) return JSON.parse(known) as readonly StageWeight[];
  const weights = await weighStages(stages, target, solved, store);
  if (weights.length === stages.length && !weights.some((weight) => weight.estimated))
    store.writeFact(key, JSON.stringify(weights));
  return weights;
}

/**
 * {@link stageWeights} of every platform. With several, a stage's name begins with its platform; one that several share
 * is named once, and has shipped what most of it reached one of them.
 *
 * @param platforms Those that are built, parallel to `frontends`.
 */
export async function allStageWeights(
  frontends: readonly Pick<FrontendResult, 'stages' | 'target'>[],
  solved: readonly SolveResult[],
  platforms: readonly Platform[],
  store: Store,
): Promise<readonly StageWeight[]> {
  const found = new Map<string, { readonly weight: StageWeight; readonly own: string; readonly target: string }>();
  for (const [i, { stages, target }] of frontends.entries()) {
    const [result, platform] = [solved[i], platforms[i]];
    if (result === undefined || platform === undefined) continue;
    const weights = await stageWeights(stages, target, result, store);
    if (frontends.length === 1) return weights;
    for (const weight of weights) {
      const stage = stages.find(({ name }) => name === weight.name);
      const own = platformText(stage?.platform ?? platform);
      const key = JSON.stringify([own, weight.name, stage?.result?.vertex.digest]);
      const shippedBytes = Math.max(weight.shippedBytes ?? 0, found.get(key)?.weight.shippedBytes ?? 0);
      found.set(key, { weight: { ...weight, shippedBytes }, own, target: platformText(platform) });
    }
  }
  const all = [...found.values()];
  return all.map(({ weight, own, target }) => {
    const isShared = all.filter((other) => other.own === own && other.weight.name === weight.name).length === 1;
    const label = isShared || own === target ? own : `${own}->${target}`;
    return { ...weight, name: `${label} ${weight.name}` };
  });
}

async function weighStages(
  stages: readonly StageInfo[],
  target: StageInfo,
  solved: SolveResult,
  store: Store,
): Promise<readonly StageWeight[]> {
  const snapshots = new Map<StageInfo, Snapshot>();
  for (const stage of stages) {
    const snapshot = await peek(solved, stage.result);
    if (snapshot !== undefined) snapshots.set(stage, snapshot);
  }
  const scales = new Scales(store);
  const shipped = await shippedBytes(stages, target, solved, scales);
  const bases = basesOf(target, stages);
  const weights: StageWeight[] = [];
  for (const stage of stages) {
    const snapshot = snapshots.get(stage);
    if (snapshot === undefined) continue;
    const weight = await scales.weigh(snapshot);
    const final = stage === target;
    const inherited = final || bases.has(stage);
    weights.push({
      name: stage.name,
      builtBytes: weight.bytes,
      estimated: weight.estimated,
      final,
      shippedBytes: inherited ? weight.bytes : (shipped.get(stage) ?? 0),
    });
  }
  return weights;
}

async function peek(solved: SolveResult, result: VertexInput | undefined): Promise<Snapshot | undefined> {
  return result === undefined ? undefined : await solved.peek({ vertex: result.vertex.digest, index: result.index });
}

/** The stages that `target` is FROM, and those that these are FROM. */
export function basesOf(target: StageInfo, stages: readonly StageInfo[]): ReadonlySet<StageInfo> {
  const byResult = stageFinder(stages);
  const bases = new Set<StageInfo>();
  for (let at = byResult(target.base, target); at !== undefined && !bases.has(at); at = byResult(at.base, at)) {
    bases.add(at);
  }
  return bases;
}

/** Finds the first stage with a result, `but` not counted. */
type StageFinder = (result: VertexInput | undefined, but: StageInfo) => StageInfo | undefined;

function stageFinder(stages: readonly StageInfo[]): StageFinder {
  const byResult = new Map<string, StageInfo[]>();
  for (const stage of stages) {
    if (stage.result === undefined) continue;
    const name = edgeName(stage.result);
    const known = byResult.get(name);
    if (known === undefined) byResult.set(name, [stage]);
    else known.push(stage);
  }
  return (result, but) =>
    result === undefined ? undefined : byResult.get(edgeName(result))?.find((stage) => stage !== but);
}

function edgeName({ vertex, index }: VertexInput): string {
  return `${vertex.digest} ${index}`;
}

function sameEdge(a: VertexInput | undefined, b: VertexInput | undefined): boolean {
  return a !== undefined && b !== undefined && a.vertex.digest === b.vertex.digest && a.index === b.index;
}

/** A copy between stages: the vertex that made it, and the stage it read. */
interface Transfer {
  readonly vertex: Vertex;
  readonly from: StageInfo;
}

async function shippedBytes(
  stages: readonly StageInfo[],
  target: StageInfo,
  solved: SolveResult,
  scales: Scales,
): Promise<ReadonlyMap<StageInfo, number>> {
  const find = stageFinder(stages);
  const bytes = new Map<StageInfo, number>();
  /** Follows what `into` got from other stages; `wanted` limits it to contents that reach the result. */
  const follow = async (
    into: StageInfo,
    wanted: ReadonlySet<string> | undefined,
    path: readonly StageInfo[],
  ): Promise<void> => {
    for (const { vertex, from } of transfers(into, find)) {
      if (path.includes(from)) continue;
      const layer = (await peek(solved, { vertex, index: 0 }))?.layers.at(-1);
      if (layer === undefined) continue;
      const row = scales.row(layer.id);
      if (row?.hasTree !== true) {
        // Nothing is pulled for a table: what a cache brought and nobody has read counts by its blob.
        bytes.set(from, (bytes.get(from) ?? 0) + rowBytes(row));
        continue;
      }
      // What came from nowhere else need not be told apart.
      const isLast = transfers(from, find).length === 0;
      if (isLast && wanted === undefined && row.size !== undefined) {
        bytes.set(from, (bytes.get(from) ?? 0) + row.size);
        continue;
      }
      const carried = await contents(layer, wanted);
      bytes.set(from, (bytes.get(from) ?? 0) + carried.bytes);
      if (!isLast) await follow(from, carried.digests, [...path, from]);
    }
  };
  await follow(target, undefined, [target]);
  return bytes;
}

async function contents(
  layer: Layer,
  wanted: ReadonlySet<string> | undefined,
): Promise<{ readonly bytes: number; readonly digests: ReadonlySet<string> }> {
  const tree: Tree = await layer.tree();
  const digests = new Set<string>();
  let bytes = 0;
  for (const entry of tree.values()) {
    if (entry.type !== 'file' || entry.hardlink !== undefined || entry.digest === undefined) continue;
    if (wanted !== undefined && !wanted.has(entry.digest)) continue;
    digests.add(entry.digest);
    bytes += entry.size;
  }
  return { bytes, digests };
}

/** The file ops between a stage's base and its result that read another stage. */
function transfers(stage: StageInfo, find: StageFinder): readonly Transfer[] {
  const found: Transfer[] = [];
  const seen = new Set<Vertex>();
  const queue: VertexInput[] = stage.result === undefined ? [] : [stage.result];
  for (let edge = queue.pop(); edge !== undefined; edge = queue.pop()) {
    if (seen.has(edge.vertex) || sameEdge(edge, stage.base)) continue;
    seen.add(edge.vertex);
    const { vertex } = edge;
    if (vertex.op.kind === 'file') {
      for (const action of vertex.op.actions) {
        const source = vertex.inputs[action.secondaryInput];
        const from = action.secondaryInput < 0 ? undefined : find(source, stage);
        if (from !== undefined) found.push({ vertex, from });
        const root = action.input < 0 ? undefined : vertex.inputs[action.input];
        if (root !== undefined) queue.push(root);
      }
    } else if (vertex.op.kind === 'exec') {
      const root = vertex.op.mounts.find((mount) => mount.dest === '/');
      const input = root === undefined || root.input < 0 ? undefined : vertex.inputs[root.input];
      if (input !== undefined) queue.push(input);
    } else {
      queue.push(...vertex.inputs);
    }
  }
  return found;
}
