/**
 * Why steps ran: each that did is compared with the step that it was in the nearest earlier build, input by input, down to
 * the first thing that was given from outside (a file, an argument, a base image, a flag).
 */
import type { Digest } from '../../contracts/index.ts';
import type { ContentListEntry } from '../../store/index.ts';
import { compareContentLists } from './content.ts';
import { instructionOf, matchSteps } from './match.ts';
import { opReasons } from './op.ts';
import type { ExplainedBuild, Explanation, GraphInput, GraphStep, Reason, StepRun } from './types.ts';

/** Files named of one input; how many more there are is said. */
const FILES_MAX = 20;

export interface ExplainSources {
  /** Earlier builds of the same lineage, the latest first; read as far as needed. */
  readonly earlier: Iterable<ExplainedBuild>;
  readonly contentList: (content: Digest) => readonly ContentListEntry[] | undefined;
}

/** One explanation for each step of `build` that ran (or, in a plan, would run). */
export function explainBuild(build: ExplainedBuild, sources: ExplainSources): readonly Explanation[] {
  const earlier = remember(sources.earlier);
  const explanations: Explanation[] = [];
  for (const [i, step] of build.graph.steps.entries()) {
    const run = build.runs[i];
    if (run === undefined || !hasRun(run) || !isStep(step)) continue;
    const { reasons, against } = explainStep(build, i, run, earlier, sources);
    explanations.push({ step: i, name: step.name, line: step.line, reasons, against });
  }
  return explanations;
}

/** A step of two builds, by its index in each; of one only when the other has no such step. */
export interface StepDifference {
  readonly after?: number | undefined;
  readonly before?: number | undefined;
  /** Empty: the same step, with the same inputs. */
  readonly reasons: readonly Reason[];
}

/** All steps of two builds, those of `after` first. */
export function compareBuilds(
  after: ExplainedBuild,
  before: ExplainedBuild,
  contentList: ExplainSources['contentList'],
): readonly StepDifference[] {
  const matched = matchOnce(after, before);
  const comparison = new Comparison(after, { build: before, matched }, { earlier: [], contentList });
  const gone = new Set(before.graph.steps.keys());
  const differences: StepDifference[] = [];
  for (const [i, step] of after.graph.steps.entries()) {
    const other = matched.get(i);
    const counterpart = other === undefined ? undefined : before.graph.steps[other];
    if (other !== undefined) gone.delete(other);
    if (!isStep(step)) continue;
    const same = counterpart === undefined || other === undefined || isSame(step, counterpart);
    differences.push({ after: i, before: other, reasons: same ? [] : comparison.reasons(i, other) });
  }
  for (const i of gone) {
    const step = before.graph.steps[i];
    if (step !== undefined && isStep(step)) differences.push({ before: i, reasons: [] });
  }
  return differences;
}

/** Sources are looked at, not run; a here-document is a part of the step that reads it. */
export function isStep(step: GraphStep): boolean {
  return !isSource(step) && !isInline(step);
}

function isSource({ kind }: GraphStep): boolean {
  return kind === 'image' || kind === 'local' || kind === 'source';
}

function isInline({ kind, name }: GraphStep): boolean {
  return kind === 'file' && name.startsWith('[internal] ');
}

export function hasRun({ outcome }: StepRun): boolean {
  return outcome === 'ran' || outcome === 'refilled' || outcome === 'failed';
}

interface Compared {
  readonly build: ExplainedBuild;
  readonly matched: ReadonlyMap<number, number>;
}

function explainStep(
  build: ExplainedBuild,
  at: number,
  run: StepRun,
  earlier: (i: number) => ExplainedBuild | undefined,
  sources: ExplainSources,
): { readonly reasons: readonly Reason[]; readonly against?: string } {
  if (run.noCache === true) return { reasons: [{ kind: 'no-cache' }] };
  if (run.outcome === 'refilled') return { reasons: [{ kind: 'bytes' }] };
  const step = build.graph.steps[at];
  if (step === undefined) return { reasons: [{ kind: 'unknown' }] };
  let known = false;
  for (let i = 0; ; i++) {
    const candidate = earlier(i);
    if (candidate === undefined) return { reasons: [known ? { kind: 'new-step' } : { kind: 'first-build' }] };
    known = true;
    const compared = { build: candidate, matched: matchOnce(build, candidate) };
    const other = compared.matched.get(at);
    const before = other === undefined ? undefined : candidate.graph.steps[other];
    if (other === undefined || before === undefined) continue;
    const against = candidate.id;
    if (isSame(step, before)) {
      const finished = candidate.runs[other]?.outcome;
      return {
        reasons: [{ kind: finished === undefined || finished === 'failed' ? 'unfinished' : 'pruned' }],
        against,
      };
    }
    // The build ended before it came to this step.
    if (before.lookup === undefined) continue;
    const reasons = new Comparison(build, compared, sources).reasons(at, other);
    return { reasons: reasons.length > 0 ? reasons : [{ kind: 'unknown' }], against };
  }
}

function isSame(a: GraphStep, b: GraphStep): boolean {
  if (a.lookup !== undefined && b.lookup !== undefined) return a.lookup === b.lookup;
  return a.definition !== '' && a.definition === b.definition;
}

const matches = new WeakMap<ExplainedBuild, WeakMap<ExplainedBuild, ReadonlyMap<number, number>>>();

function matchOnce(build: ExplainedBuild, earlier: ExplainedBuild): ReadonlyMap<number, number> {
  let own = matches.get(build);
  if (own === undefined) matches.set(build, (own = new WeakMap()));
  let matched = own.get(earlier);
  if (matched === undefined) own.set(earlier, (matched = matchSteps(build.graph, earlier.graph)));
  return matched;
}

/** What is read of an iterable is there for the next to ask. */
function remember<T>(items: Iterable<T>): (i: number) => T | undefined {
  const iterator = items[Symbol.iterator]();
  const known: T[] = [];
  return (i) => {
    while (known.length <= i) {
      const next = iterator.next();
      if (next.done === true) return undefined;
      known.push(next.value);
    }
    return known[i];
  };
}

/** Two builds side by side. */
class Comparison {
  readonly #current: ExplainedBuild;
  readonly #earlier: ExplainedBuild;
  readonly #matched: ReadonlyMap<number, number>;
  readonly #sources: ExplainSources;
  readonly #known = new Map<string, readonly Reason[]>();

  constructor(current: ExplainedBuild, { build, matched }: Compared, sources: ExplainSources) {
    this.#current = current;
    this.#earlier = build;
    this.#matched = matched;
    this.#sources = sources;
  }

  /** What differs between step `a` of this build and step `b` of the earlier one, what the user gave first. */
  reasons(a: number, b: number): readonly Reason[] {
    const key = `${a} ${b}`;
    let known = this.#known.get(key);
    if (known === undefined) this.#known.set(key, (known = this.#compare(a, b)));
    return known;
  }

  #compare(a: number, b: number): readonly Reason[] {
    const [step, before] = [this.#current.graph.steps[a], this.#earlier.graph.steps[b]];
    if (step === undefined || before === undefined) return [{ kind: 'unknown' }];
    if (this.#current.runs[a]?.noCache === true) return [{ kind: 'no-cache' }];
    if (isSource(step) || isSource(before)) return sourceReasons(step, before);
    if (isSame(step, before)) {
      // It is another result all the same: it ran because the one of before is gone, or somebody wanted it anew since.
      const run = this.#current.runs[a];
      return [{ kind: run !== undefined && hasRun(run) ? 'pruned' : 'replaced' }];
    }
    if (step.lookup === undefined || before.lookup === undefined) return [{ kind: 'unknown' }];
    const reasons = [...opReasons({ build: this.#current, step }, { build: this.#earlier, step: before })];
    const pairs = (kind: 'content' | 'record') => pairInputs(step.inputs, before.inputs, kind);
    for (const [own, theirs] of pairs('content')) {
      if (own.content !== theirs.content) reasons.push(...this.#contentReasons(own, theirs));
    }
    for (const [own, theirs] of pairs('record')) {
      if (own.record !== theirs.record) reasons.push(this.#parentReason(own, theirs));
    }
    return reasons;
  }

  #contentReasons(own: GraphInput, theirs: GraphInput): readonly Reason[] {
    const inline = this.#current.graph.steps[own.step];
    if (inline !== undefined && isInline(inline)) return [{ kind: 'option', name: 'here-document' }];
    const input = this.#inputName(own.step);
    const cause = this.#cause(own.step, theirs.step);
    const [after, before] = [this.#list(own.content), this.#list(theirs.content)];
    const differences = after === undefined || before === undefined ? [] : compareContentLists(before, after);
    if (differences.length === 0) return [{ kind: 'files', input, cause }];
    const reasons: Reason[] = differences
      .slice(0, FILES_MAX)
      .map((difference) => ({ kind: 'file', ...difference, input, cause }));
    const more = differences.length - reasons.length;
    return more > 0 ? [...reasons, { kind: 'files', input, count: more, cause }] : reasons;
  }

  #list(content: Digest | undefined): readonly ContentListEntry[] | undefined {
    return content === undefined ? undefined : this.#sources.contentList(content);
  }

  #parentReason(own: GraphInput, theirs: GraphInput): Reason {
    const [step, before] = [this.#current.graph.steps[own.step], this.#earlier.graph.steps[theirs.step]];
    if (step === undefined || before === undefined) return { kind: 'unknown' };
    if (isSource(step)) return sourceReasons(step, before)[0] ?? { kind: 'unknown' };
    const counterpart = this.#matched.get(own.step);
    const parent = { kind: 'parent', line: step.line, name: step.name } as const;
    if (counterpart === undefined) return { ...parent, cause: { kind: 'new-step' } };
    if (counterpart !== theirs.step && [...this.#matched.values()].includes(theirs.step)) return { kind: 'order' };
    if (counterpart !== theirs.step) return { kind: 'removed-step', name: before.name };
    return { ...parent, cause: root(this.reasons(own.step, theirs.step)[0]) };
  }

  /** Why what was copied from differs; nothing for a context, whose files are the cause. */
  #cause(own: number, theirs: number): Reason | undefined {
    const [step, before] = [this.#current.graph.steps[own], this.#earlier.graph.steps[theirs]];
    if (step === undefined || before === undefined || step.kind === 'local') return undefined;
    if (isSource(step)) return sourceReasons(step, before)[0];
    return { kind: 'parent', line: step.line, name: step.name, cause: root(this.reasons(own, theirs)[0]) };
  }

  #inputName(at: number): string {
    const step = this.#current.graph.steps[at];
    if (step === undefined) return '';
    if (step.kind === 'local') return contextName(step);
    if (step.kind === 'image' || step.kind === 'source') return shortIdentifier(step);
    return step.position === undefined ? instructionOf(step) : `stage ${step.position.stage}`;
  }
}

/** Inputs that counted the same way, in their order. */
function pairInputs(
  own: readonly GraphInput[],
  theirs: readonly GraphInput[],
  kind: 'content' | 'record',
): readonly (readonly [GraphInput, GraphInput])[] {
  const others = theirs.filter((input) => input[kind] !== undefined);
  return own
    .filter((input) => input[kind] !== undefined)
    .flatMap((input, i) => {
      const other = others[i];
      return other === undefined ? [] : [[input, other] as const];
    });
}

/** Of a chain of parents, what began it. */
function root(reason: Reason | undefined): Reason | undefined {
  return reason?.kind === 'parent' && reason.cause !== undefined ? root(reason.cause) : reason;
}

function sourceReasons(step: GraphStep, before: GraphStep): readonly Reason[] {
  if (step.kind === 'local' || before.kind === 'local') return [{ kind: 'unknown' }];
  const [to, from] = [identity(step), identity(before)];
  const name = shortIdentifier(step);
  if (step.kind === 'image' && before.kind === 'image' && name === shortIdentifier(before)) {
    return [{ kind: 'base', name, from, to }];
  }
  if (!isSource(step) || !isSource(before) || name !== shortIdentifier(before)) {
    return [{ kind: 'base', name, from: !isSource(before) ? before.name : shortIdentifier(before), to: name }];
  }
  return [{ kind: 'source', name, from, to }];
}

/** The digest that the name had, else that of its layers. */
function identity({ identifier = '', source = '' }: GraphStep): string {
  return /@(sha256:[0-9a-f]{64})$/.exec(identifier)?.[1] ?? /sha256:[0-9a-f]{64}/.exec(source)?.[0] ?? source;
}

function contextName({ identifier = '' }: GraphStep): string {
  const name = identifier.replace(/^local:\/\//, '');
  return name === 'context' ? name : `context ${name}`;
}

/** As users write it: `node:20`, `https://...`. */
function shortIdentifier({ identifier = '', name }: GraphStep): string {
  if (identifier === '') return name;
  return identifier
    .replace(/^(docker-image|oci-layout):\/\//, '')
    .replace(/@sha256:[0-9a-f]{64}$/, '')
    .replace(/^docker\.io\/(library\/)?/, '');
}
