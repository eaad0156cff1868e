/**
 * What a solve would do, without doing it: the same keys, the same look-ups, but nothing runs and no layer is pulled. What
 * a step reads of one that has to run first is not known; whether it will run then is not guessed.
 */
import { randomUUID } from 'node:crypto';
import type { BuildEventSink, Digest, FileTree, Snapshot, WorkContext, Worker } from '../contracts/index.ts';
import type { Definition, Vertex } from '../llb/index.ts';
import type { Store } from '../store/index.ts';
import { definitionKeys } from './definition-keys.ts';
import { cancelled, toBuildError } from './errors.ts';
import { makeKey } from './keys.ts';
import { opLookup, sourceLookup, type Lookup } from './lookup.ts';
import { ignoringCache, isNoCache, type NoCache } from './no-cache.ts';
import { createRecords, type Records, type Solved } from './records.ts';
import type { RemoteRecords } from './remote-records.ts';
import { isLocal } from './source-kind.ts';
import type { SolveTrace } from './trace.ts';

export interface PlanDeps {
  readonly store: Store;
  readonly worker: Worker;
  /** Results of other machines count as found; their layers are not pulled. */
  readonly remote?: RemoteRecords | undefined;
  /** Hears of keys and look-ups as in a solve; of outcomes only `found`. */
  readonly trace?: SolveTrace | undefined;
}

export interface PlanOptions {
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
  readonly noCache: NoCache;
  readonly treesOnly?: boolean | undefined;
}

/** What would become of a vertex. */
export type Planned =
  /** Found; `needed` false: what stands on it is found, so nobody will look. */
  | { readonly status: 'hit'; readonly needed: boolean }
  /** It would run; `bytes`: it is known, but its files are gone and needed. */
  | { readonly status: 'miss'; readonly bytes: boolean }
  /** Not known before these have run, or before layers of these images have been pulled. */
  | { readonly status: 'unknown'; readonly until: readonly Digest[] }
  /** A source: looked at, not run. */
  | { readonly status: 'source' };

/** By vertex. Throws what a solve would throw before anything runs: `source-missing`, `registry`, ... */
export async function planSolve(
  { result, vertices: all }: Definition,
  deps: PlanDeps,
  options: PlanOptions,
): Promise<ReadonlyMap<Digest, Planned>> {
  if (options.signal.aborted) throw cancelled();
  if (result === undefined) return new Map();
  return new Planner(deps, all, options).plan(result.vertex);
}

type State =
  | { readonly kind: 'found'; readonly solved: Solved }
  /** `key`: of the record that it will make; undefined where only running tells. */
  | { readonly kind: 'miss'; readonly key: string | undefined }
  | { readonly kind: 'unknown'; readonly until: readonly Digest[] };

const LEVELS = ['tree', 'maybe', 'bytes'] as const;

/** What somebody wants of a result; `maybe` its bytes, if it runs, which is known when `until` have run. */
interface Want {
  readonly level: (typeof LEVELS)[number];
  readonly until: readonly Digest[];
}
type Pending = readonly [Vertex, Want];

const TREE: Want = { level: 'tree', until: [] };

class Planner {
  readonly #deps: PlanDeps;
  readonly #vertices: readonly Vertex[];
  readonly #options: PlanOptions;
  readonly #nonce = randomUUID();
  readonly #records: Records;
  readonly #sources = new Map<Digest, string | undefined>();
  readonly #opened = new Map<Digest, Snapshot>();
  readonly #localContent = new Map<string, Digest | undefined>();
  readonly #ignoring: ReadonlySet<Digest>;
  readonly #states = new Map<Digest, State>();
  #keys: ReadonlyMap<Digest, string> = new Map();

  constructor(deps: PlanDeps, vertices: readonly Vertex[], options: PlanOptions) {
    this.#deps = deps;
    this.#vertices = vertices;
    this.#options = options;
    this.#records = createRecords(deps, this.#nonce);
    this.#ignoring = ignoringCache(vertices, options.noCache);
  }

  async plan(target: Vertex): Promise<ReadonlyMap<Digest, Planned>> {
    await this.#computeKeys();
    const wanted = new Map<Digest, Want>();
    let pending: Pending[] = [[target, { level: this.#options.treesOnly === true ? 'tree' : 'bytes', until: [] }]];
    while (pending.length > 0) {
      await this.#want(pending, wanted);
      for (const vertex of this.#vertices) {
        if (wanted.has(vertex.digest) && !this.#states.has(vertex.digest)) {
          this.#states.set(vertex.digest, await this.#look(vertex));
        }
      }
      // Bytes of inputs are wanted by what turned out to run.
      pending = this.#vertices.flatMap((vertex) => {
        const want = this.#wantOfInputs(vertex, wanted.get(vertex.digest));
        return want === undefined ? [] : vertex.inputs.map((input): Pending => [input.vertex, want]);
      });
      pending = pending.filter(([vertex, want]) => isMore(want, wanted.get(vertex.digest)));
    }
    return new Map(this.#vertices.map((vertex) => [vertex.digest, this.#planned(vertex, wanted.get(vertex.digest))]));
  }

  /** Marks what is wanted, from above: what is found by its definition hides what it is made from. */
  async #want(from: readonly Pending[], wanted: Map<Digest, Want>): Promise<void> {
    const stack = [...from];
    for (let next = stack.pop(); next !== undefined; next = stack.pop()) {
      const [vertex, want] = next;
      if (!isMore(want, wanted.get(vertex.digest))) continue;
      wanted.set(vertex.digest, want);
      if (this.#states.has(vertex.digest)) continue;
      const found = await this.#findByDefinition(vertex);
      if (found !== undefined) this.#states.set(vertex.digest, found);
      else stack.push(...vertex.inputs.map((input): Pending => [input.vertex, TREE]));
    }
  }

  #wantOfInputs(vertex: Vertex, want: Want | undefined): Want | undefined {
    const state = this.#states.get(vertex.digest);
    switch (state?.kind) {
      case 'miss':
        return { level: 'bytes', until: [] };
      case 'unknown':
        return { level: 'maybe', until: state.until };
      case 'found':
        return state.solved.virtual && want?.level !== 'tree' ? want : undefined;
      case undefined:
        return undefined;
    }
  }

  async #findByDefinition(vertex: Vertex): Promise<State | undefined> {
    if (vertex.op.kind === 'source' || this.#ignoring.has(vertex.digest)) return undefined;
    const definition = this.#definitionKey(vertex);
    const solved = await this.#records.find(definition, { vertex, definition });
    if (solved === undefined) return undefined;
    this.#deps.trace?.outcome(vertex, 'found', solved.key);
    return { kind: 'found', solved };
  }

  /** Inputs are known. */
  async #look(vertex: Vertex): Promise<State> {
    if (vertex.op.kind === 'source') return this.#lookAtSource(vertex);
    const inputs = vertex.inputs.map((input) => this.#states.get(input.vertex.digest));
    const content = await Promise.all(vertex.inputs.map((_, i) => this.#contentOf(vertex, i, inputs[i])));
    const until = new Set<Digest>();
    const records: string[] = [];
    let certain = isNoCache(this.#options.noCache, vertex);
    for (const [i, input] of inputs.entries()) {
      const digest = content[i];
      if (digest === 'unread') {
        for (const waiting of untilOf(vertex.inputs[i]?.vertex, input)) until.add(waiting);
      } else if (digest === undefined && input?.kind === 'unknown') {
        for (const waiting of input.until) until.add(waiting);
      }
      const key = input?.kind === 'found' ? input.solved.key : input?.kind === 'miss' ? input.key : undefined;
      // A record that has no name yet has nothing that stands on it.
      certain ||= digest === undefined && input?.kind === 'miss' && key === undefined;
      records.push(key ?? '');
    }
    if (until.size > 0) return certain ? { kind: 'miss', key: undefined } : { kind: 'unknown', until: [...until] };
    const known = content.map((digest) => (digest === 'unread' ? undefined : digest));
    const lookup = opLookup(vertex, known, records);
    this.#trace(vertex, lookup);
    return this.#lookUp(vertex, lookup, certain);
  }

  async #lookUp(vertex: Vertex, lookup: Lookup, certain: boolean): Promise<State> {
    const asked = { vertex, definition: this.#definitionKey(vertex) };
    const solved = certain ? undefined : await this.#records.find(lookup.key, asked);
    if (solved !== undefined) {
      this.#deps.trace?.outcome(vertex, 'found', solved.key);
      return { kind: 'found', solved };
    }
    const replaces = certain && this.#deps.store.findRecord(lookup.key) !== undefined;
    return { kind: 'miss', key: replaces ? undefined : this.#records.nameFor(lookup, false) };
  }

  async #lookAtSource(vertex: Vertex): Promise<State> {
    const lookup = sourceLookup(vertex, { sources: this.#sources, nonce: this.#nonce });
    if (!isLocal(vertex)) this.#trace(vertex, lookup);
    const key = isLocal(vertex)
      ? makeKey('record', ['local', vertex.digest, this.#nonce])
      : this.#records.nameFor(lookup, false);
    const snapshot = await this.#open(vertex);
    return { kind: 'found', solved: { key, snapshots: [snapshot], virtual: false } };
  }

  /** `unread`: it counts by content, but the content is not at hand. */
  async #contentOf(vertex: Vertex, i: number, state: State | undefined): Promise<Digest | undefined | 'unread'> {
    const edge = vertex.inputs[i];
    if (edge === undefined) return undefined;
    if (isLocal(edge.vertex)) return this.#localContent.get(`${vertex.digest} ${i}`);
    const snapshot = state?.kind === 'found' ? state.solved.snapshots[edge.index] : undefined;
    if (snapshot !== undefined && this.#isReadable(snapshot)) return this.#contentKey(vertex, i, snapshot);
    try {
      return await this.#deps.worker.contentKey(vertex, i, UNREADABLE, this.#context(vertex));
    } catch (error) {
      if (error === NOT_AT_HAND || (error instanceof Error && error.cause === NOT_AT_HAND)) return 'unread';
      throw error;
    }
  }

  /** All its trees are here: reading it pulls nothing. */
  #isReadable({ layers }: Snapshot): boolean {
    return layers.every(({ id }) => this.#deps.store.layer(id)?.hasTree === true);
  }

  #planned(vertex: Vertex, want: Want | undefined): Planned {
    if (vertex.op.kind === 'source') return { status: 'source' };
    const state = this.#states.get(vertex.digest);
    switch (state?.kind) {
      case 'miss':
        return { status: 'miss', bytes: false };
      case 'unknown':
        return { status: 'unknown', until: state.until };
      case undefined:
        return { status: 'hit', needed: false };
      case 'found': {
        // Ops on trees are made again in no time; a command takes its own.
        const gone = state.solved.virtual && vertex.op.kind === 'exec';
        if (gone && want?.level === 'bytes') return { status: 'miss', bytes: true };
        if (gone && want?.level === 'maybe') return { status: 'unknown', until: want.until };
        return { status: 'hit', needed: want !== undefined };
      }
    }
  }

  // keys

  async #computeKeys(): Promise<void> {
    for (const vertex of this.#vertices) {
      if (isLocal(vertex)) await this.#readLocal(vertex);
      else if (vertex.op.kind === 'source') {
        const ask = () => this.#deps.worker.sourceKey(vertex, this.#context(vertex));
        this.#sources.set(vertex.digest, await this.#located(vertex, ask));
      }
    }
    this.#keys = definitionKeys(this.#vertices, {
      sources: this.#sources,
      localContent: (vertex, input) => this.#localContent.get(`${vertex.digest} ${input}`),
      nonce: this.#nonce,
    });
    this.#deps.trace?.keys(this.#keys);
  }

  async #readLocal(local: Vertex): Promise<void> {
    const snapshot = await this.#open(local);
    for (const vertex of this.#vertices) {
      for (const [i, { vertex: input }] of vertex.inputs.entries()) {
        if (input.digest !== local.digest) continue;
        this.#localContent.set(`${vertex.digest} ${i}`, await this.#contentKey(vertex, i, snapshot));
      }
    }
  }

  /** Of a source: where its files are, none of them fetched (a download is made for its key). */
  async #open(vertex: Vertex): Promise<Snapshot> {
    const known = this.#opened.get(vertex.digest);
    if (known !== undefined) return known;
    const run = () => this.#deps.worker.run(vertex, [], this.#context(vertex));
    const [snapshot] = await this.#located(vertex, run);
    if (snapshot === undefined) throw toBuildError(new Error('a source has no output'), vertex.metadata.location);
    this.#opened.set(vertex.digest, snapshot);
    return snapshot;
  }

  #contentKey(vertex: Vertex, input: number, snapshot: Snapshot): Promise<Digest | undefined> {
    return this.#located(vertex, () => this.#deps.worker.contentKey(vertex, input, snapshot, this.#context(vertex)));
  }

  #definitionKey(vertex: Vertex): string {
    return this.#keys.get(vertex.digest) ?? '';
  }

  #trace(vertex: Vertex, { key, op, content, records }: Lookup): void {
    this.#deps.trace?.lookup(vertex, { key, op, content, records, source: this.#sources.get(vertex.digest) });
  }

  async #located<T>(vertex: Vertex, task: () => Promise<T>): Promise<T> {
    this.#options.signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      throw this.#options.signal.aborted ? cancelled() : toBuildError(error, vertex.metadata.location);
    }
  }

  #context(vertex: Vertex): WorkContext {
    const { signal, events } = this.#options;
    return { signal, events, location: vertex.metadata.location };
  }
}

function isMore(want: Want, than: Want | undefined): boolean {
  return than === undefined || LEVELS.indexOf(want.level) > LEVELS.indexOf(than.level);
}

/** What has to happen before an input can be read: it runs, what it waits for runs, or its layers are pulled. */
function untilOf(vertex: Vertex | undefined, state: State | undefined): readonly Digest[] {
  if (state?.kind === 'unknown') return state.until;
  return vertex === undefined ? [] : [vertex.digest];
}

const NOT_AT_HAND = new Error('these files are not at hand');
const refuse = (): Promise<never> => Promise.reject(NOT_AT_HAND);
/** Tells whether an op reads from an input at all. */
const UNREADABLE: Snapshot = {
  layers: [],
  inPlace: false,
  files: { lookup: refuse, list: refuse, walk: refuse, digests: refuse, locate: refuse } satisfies FileTree,
};
