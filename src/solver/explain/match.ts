/** Which step of an earlier build a step is: a Dockerfile is edited between two builds. */
import type { BuildGraph, GraphStep } from './types.ts';

/** By index of the current step: the index of the earlier one that it was. Steps that are new are missing. */
export function matchSteps(current: BuildGraph, earlier: BuildGraph): ReadonlyMap<number, number> {
  const matched = new Map<number, number>();
  matchSources(current, earlier, matched);
  const stages = stagesOf(earlier);
  for (const [name, own] of stagesOf(current)) {
    const counterpart = stages.get(name) ?? sameIndex(own, stages, current, earlier);
    if (counterpart !== undefined) matchSequence(current, own, earlier, counterpart, matched);
  }
  return matched;
}

/** The instruction alone: `[build 2/3] COPY a b` is `COPY a b`. */
export function instructionOf({ name, text }: GraphStep): string {
  return text ?? name.replace(/^\[[^\]]*\d+\/\d+\] /, '');
}

/** Steps of each stage, in order. */
function stagesOf({ steps }: BuildGraph): ReadonlyMap<string, readonly number[]> {
  const stages = new Map<string, number[]>();
  for (const [i, { position }] of steps.entries()) {
    if (position === undefined) continue;
    const own = stages.get(position.stage) ?? [];
    own.push(i);
    stages.set(position.stage, own);
  }
  for (const own of stages.values()) own.sort((a, b) => (steps[a]?.position?.at ?? 0) - (steps[b]?.position?.at ?? 0));
  return stages;
}

/** A stage that was renamed has its place in the file. */
function sameIndex(
  own: readonly number[],
  stages: ReadonlyMap<string, readonly number[]>,
  current: BuildGraph,
  earlier: BuildGraph,
): readonly number[] | undefined {
  const indexOf = (graph: BuildGraph, steps: readonly number[]) => graph.steps[steps[0] ?? -1]?.position?.index;
  const index = indexOf(current, own);
  return [...stages.values()].find((steps) => indexOf(earlier, steps) === index);
}

function matchSources(current: BuildGraph, earlier: BuildGraph, matched: Map<number, number>): void {
  const byName = new Map<string, number>();
  for (const [i, step] of earlier.steps.entries()) {
    if (step.position === undefined) byName.set(sourceName(step), i);
  }
  for (const [i, step] of current.steps.entries()) {
    const other = step.position === undefined ? byName.get(sourceName(step)) : undefined;
    if (other !== undefined) matched.set(i, other);
  }
}

/** Without its digest: that is what may have changed. */
function sourceName({ kind, identifier, name }: GraphStep): string {
  return `${kind} ${(identifier ?? name).replace(/@sha256:[0-9a-f]{64}$/, '')}`;
}

/** Equal instructions first, in the most that keep their order; what is left between two of them pairwise by kind. */
function matchSequence(
  current: BuildGraph,
  own: readonly number[],
  earlier: BuildGraph,
  theirs: readonly number[],
  matched: Map<number, number>,
): void {
  const a = own.map((i) => instructionAt(current, i));
  const b = theirs.map((i) => instructionAt(earlier, i));
  const anchors = [...longestCommon(a, b), [a.length, b.length] as const];
  let [fromA, fromB] = [0, 0];
  for (const [atA, atB] of anchors) {
    let next = fromB;
    for (let i = fromA; i < atA; i++) {
      const found = b.findIndex((text, j) => j >= next && j < atB && keyword(text) === keyword(a[i] ?? ''));
      if (found < 0) continue;
      set(matched, own[i], theirs[found]);
      next = found + 1;
    }
    set(matched, own[atA], theirs[atB]);
    [fromA, fromB] = [atA + 1, atB + 1];
  }
}

function instructionAt({ steps }: BuildGraph, i: number): string {
  const step = steps[i];
  return step === undefined ? '' : instructionOf(step);
}

function set(matched: Map<number, number>, a: number | undefined, b: number | undefined): void {
  if (a !== undefined && b !== undefined) matched.set(a, b);
}

function keyword(instruction: string): string {
  return (/^\S+/.exec(instruction)?.[0] ?? '').toUpperCase();
}

/** Pairs of indices of a longest common subsequence. Stages are short; those of thousands of steps are cut. */
function longestCommon(a: readonly string[], b: readonly string[]): readonly (readonly [number, number])[] {
  const pairs: (readonly [number, number])[] = [];
  let start = 0;
  while (start < a.length && start < b.length && a[start] === b[start]) pairs.push([start, start++]);
  const [n, m] = [Math.min(a.length - start, CUT), Math.min(b.length - start, CUT)];
  const lengths = new Uint16Array((n + 1) * (m + 1));
  const at = (i: number, j: number): number => i * (m + 1) + j;
  for (let i = n - 1; i >= 0; i--) {
    for (let j = m - 1; j >= 0; j--) {
      lengths[at(i, j)] =
        a[start + i] === b[start + j]
          ? (lengths[at(i + 1, j + 1)] ?? 0) + 1
          : Math.max(lengths[at(i + 1, j)] ?? 0, lengths[at(i, j + 1)] ?? 0);
    }
  }
  for (let i = 0, j = 0; i < n && j < m;) {
    if (a[start + i] === b[start + j]) pairs.push([start + i++, start + j++]);
    else if ((lengths[at(i + 1, j)] ?? 0) >= (lengths[at(i, j + 1)] ?? 0)) i++;
    else j++;
  }
  return pairs;
}

const CUT = 1000;
