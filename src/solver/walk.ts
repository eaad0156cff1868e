import { randomUUID } from 'node:crypto';
import type { Digest, Snapshot, SolveOptions, SolvedRecord, WorkContext, Worker } from '../contracts/index.ts';
import { BuildError } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import type { Store } from '../store/index.ts';
import { definitionKeys } from './definition-keys.ts';
import { CANCELED, cancelled, toBuildError } from './errors.ts';
import type { Flights } from './flights.ts';
import { makeKey } from './keys.ts';
import type { Limiter } from './limits.ts';
import { opLookup, sourceLookup, type Lookup } from './lookup.ts';
import { vertexName } from './names.ts';
import { ignoringCache, isNoCache } from './no-cache.ts';
import type { RecordInputs } from './record-inputs.ts';
import { createRecords, type Records, type Solved } from './records.ts';
import type { RemoteRecords } from './remote-records.ts';
import { createReporter, type Reporter, type Told } from './reporter.ts';
import { isImage, isLocal } from './source-kind.ts';
import type { SolveTrace } from './trace.ts';

export interface WalkDeps {
  readonly store: Store;
  readonly worker: Worker;
  readonly flights: Flights<Solved>;
  readonly told: Told;
  /** What solves of this engine made although it was known, by flight. */
  readonly anew: Map<string, Solved>;
  readonly runs: Limiter;
  readonly trace?: SolveTrace | undefined;
  readonly remote?: RemoteRecords | undefined;
}

/** One solve: every needed vertex at most once, each as soon as what it needs is there. */
export class Walk {
  readonly #deps: WalkDeps;
  readonly #vertices: readonly Vertex[];
  readonly #options: SolveOptions;
  readonly #abort = new AbortController();
  readonly #signal: AbortSignal;
  readonly #runs: Limiter;
  readonly #reporter: Reporter;
  readonly #nonce = randomUUID();
  readonly #records: Records;
  readonly #sources = new Map<Digest, string | undefined>();
  readonly #localContent = new Map<string, Digest | undefined>();
  readonly #ignoresCache: ReadonlySet<Digest>;
  readonly #tasks = new Set<Promise<unknown>>();
  readonly #results = new Map<Digest, Promise<Solved>>();
  readonly #withBytes = new Map<Digest, Promise<Solved>>();
  #keys: ReadonlyMap<Digest, string> = new Map();
  #failure: BuildError | undefined;

  /** @param vertices The needed ones only, inputs first. */
  constructor(deps: WalkDeps, vertices: readonly Vertex[], options: SolveOptions) {
    this.#deps = deps;
    this.#records = createRecords(deps, this.#nonce);
    this.#vertices = vertices;
    this.#options = options;
    this.#signal = AbortSignal.any([options.signal, this.#abort.signal]);
    this.#runs = deps.runs;
    this.#reporter = createReporter(options.events, (vertex) => this.#definitionKey(vertex), deps.told);
    this.#ignoresCache = ignoringCache(vertices, options.noCache);
  }

  get vertices() {
    return this.#reporter.solved();
  }

  /** Solves `target`. Rejects with the first error, after all that was started has ended. */
  async solve(target: Vertex): Promise<Solved> {
    this.#reporter.announce(this.#vertices);
    const main = this.#start(async () => {
      await this.#computeKeys();
      return this.#options.treesOnly === true ? this.#result(target) : this.#bytes(target);
    });
    // Settles whether or not it succeeds; what counts is who failed first.
    await main.catch(() => undefined);
    while (this.#tasks.size > 0) await Promise.allSettled([...this.#tasks]);
    if (this.#failure !== undefined) {
      this.#reporter.stop(CANCELED);
      throw this.#failure;
    }
    return main;
  }

  /** After {@link solve}: what is known of a vertex, without running anything. */
  async peek(vertex: Vertex): Promise<Solved | undefined> {
    const known = this.#withBytes.get(vertex.digest) ?? this.#results.get(vertex.digest);
    return known ?? this.#records.find(this.#definitionKey(vertex));
  }

  /** After {@link solve}: what is kept of every vertex but images and contexts, inputs first. Looks elsewhere too. */
  async kept(): Promise<readonly SolvedRecord[]> {
    const kept: SolvedRecord[] = [];
    for (const vertex of this.#vertices) {
      if (isLocal(vertex) || isImage(vertex)) continue;
      const definition = this.#definitionKey(vertex);
      const known = await (this.#withBytes.get(vertex.digest) ?? this.#results.get(vertex.digest));
      const solved = known ?? (await this.#records.find(definition, { vertex, definition }));
      const record = solved === undefined ? undefined : this.#deps.store.findRecord(solved.key);
      if (solved === undefined || record === undefined) continue;
      const { lookup, inputs } = JSON.parse(record.inputs) as RecordInputs;
      const { key, snapshots } = solved;
      kept.push({
        vertex: vertex.digest,
        kind: vertex.op.kind,
        key,
        lookup,
        definition,
        inputs,
        created: record.created,
        snapshots,
      });
    }
    return kept;
  }

  // keys

  async #computeKeys(): Promise<void> {
    const asked: Promise<unknown>[] = [];
    for (const vertex of this.#vertices) {
      if (isLocal(vertex)) asked.push(this.#start(() => this.#readLocal(vertex)));
      else if (vertex.op.kind === 'source') asked.push(this.#start(() => this.#askSource(vertex)));
    }
    await Promise.all(asked);
    this.#keys = definitionKeys(this.#vertices, {
      sources: this.#sources,
      localContent: (vertex, input) => this.#localContent.get(edgeName(vertex, input)),
      nonce: this.#nonce,
    });
    this.#deps.trace?.keys(this.#keys);
  }

  async #askSource(vertex: Vertex): Promise<void> {
    const key = await this.#attempt(vertex, () => this.#deps.worker.sourceKey(vertex, this.#context(vertex)));
    this.#sources.set(vertex.digest, key);
  }

  /** Opens a build context and digests what each op reads of it; progress shows both as the context's own step. */
  async #readLocal(local: Vertex): Promise<void> {
    const opened = await this.#result(local);
    const digested: Promise<void>[] = [];
    for (const vertex of this.#vertices) {
      for (const [i, { vertex: input, index }] of vertex.inputs.entries()) {
        if (input.digest !== local.digest) continue;
        digested.push(
          this.#start(async () => {
            const digest = await this.#contentKey(vertex, i, snapshotAt(opened, index));
            this.#localContent.set(edgeName(vertex, i), digest);
          }),
        );
      }
    }
    await Promise.all(digested);
    this.#reporter.completed(local, opened.key);
  }

  #definitionKey(vertex: Vertex): string {
    return this.#keys.get(vertex.digest) ?? '';
  }

  async #contentKey(vertex: Vertex, input: number, snapshot: Snapshot): Promise<Digest | undefined> {
    return this.#attempt(vertex, () => this.#deps.worker.contentKey(vertex, input, snapshot, this.#context(vertex)));
  }

  async #lookup(vertex: Vertex, inputs: readonly Solved[]): Promise<Lookup> {
    if (vertex.op.kind === 'source') {
      return sourceLookup(vertex, { sources: this.#sources, nonce: this.#nonce });
    }
    const content = await Promise.all(
      vertex.inputs.map(({ vertex: input, index }, i) =>
        isLocal(input)
          ? Promise.resolve(this.#localContent.get(edgeName(vertex, i)))
          : this.#contentKey(vertex, i, snapshotAt(inputs[i], index)),
      ),
    );
    return opLookup(
      vertex,
      content,
      inputs.map(({ key }) => key),
    );
  }

  // walking

  /** The vertex' result, found or made. Its bytes may be gone. */
  #result(vertex: Vertex): Promise<Solved> {
    return this.#once(this.#results, vertex, () => this.#findOrMake(vertex));
  }

  /** The vertex' result with its bytes: a virtual one is made again from its inputs. */
  #bytes(vertex: Vertex): Promise<Solved> {
    return this.#once(this.#withBytes, vertex, async () => {
      const found = await this.#result(vertex);
      return found.virtual ? this.#refill(vertex, found) : found;
    });
  }

  async #findOrMake(vertex: Vertex): Promise<Solved> {
    if (isLocal(vertex)) {
      const snapshots = await this.#run(vertex, []);
      return { key: makeKey('record', ['local', vertex.digest, this.#nonce]), snapshots, virtual: false };
    }
    if (!isImage(vertex) && !this.#ignoresCache.has(vertex.digest)) {
      const definition = this.#definitionKey(vertex);
      const found = await this.#records.find(definition, { vertex, definition });
      if (found !== undefined) return this.#hit(vertex, found);
    }
    this.#deps.worker.expect?.(vertex);
    const inputs = await Promise.all(vertex.inputs.map((input) => this.#result(input.vertex)));
    const lookup = await this.#lookup(vertex, inputs);
    this.#traceLookup(vertex, lookup);
    return (await this.#findByLookup(vertex, lookup)) ?? this.#make(vertex, lookup, inputs);
  }

  async #findByLookup(vertex: Vertex, lookup: Lookup): Promise<Solved | undefined> {
    // Opening an image again costs no more than finding it, and says where its layers can be pulled from now.
    if (this.#isNoCache(vertex) || isImage(vertex)) return undefined;
    const found = await this.#records.find(lookup.key, { vertex, definition: this.#definitionKey(vertex) });
    if (found === undefined) return undefined;
    this.#records.alias(this.#definitionKey(vertex), found.key);
    return this.#hit(vertex, found);
  }

  async #make(vertex: Vertex, lookup: Lookup, inputs: readonly Solved[]): Promise<Solved> {
    const ready = await Promise.all(vertex.inputs.map((input) => this.#bytes(input.vertex)));
    if (ready.some((input, i) => input !== inputs[i] && lookup.content[i] !== undefined)) {
      // An input was made again; should it have come out differently, this is another step.
      const again = await this.#lookup(vertex, ready);
      if (again.key !== lookup.key) {
        this.#traceLookup(vertex, again);
        return (await this.#findByLookup(vertex, again)) ?? this.#make(vertex, again, ready);
      }
    }
    // Who wants it anew does not join who is content with what there is.
    const flight = this.#isNoCache(vertex) ? `${lookup.key}-anew` : lookup.key;
    const { value, joined } = await this.#deps.flights.run(
      flight,
      this.#signal,
      `which runs ${vertexName(vertex)}`,
      async () => {
        // Another process may have made it while we waited for the lock, or another solve of this engine before.
        const found = (await this.#findByLookup(vertex, lookup)) ?? this.#deps.anew.get(flight);
        if (found !== undefined) return found;
        const snapshots = await this.#run(vertex, ready);
        const made = { key: this.#records.nameFor(lookup, this.#replaces(vertex)), snapshots, virtual: false };
        this.#save(vertex, lookup, made);
        if (!isLocal(vertex)) this.#reporter.completed(vertex, made.key);
        this.#deps.trace?.outcome(vertex, 'ran', made.key);
        if (this.#isNoCache(vertex)) this.#deps.anew.set(flight, made);
        return made;
      },
    );
    if (joined) {
      this.#notRun(vertex, 'shared', value.key);
      this.#records.alias(this.#definitionKey(vertex), value.key);
      this.#reporter.cached(vertex, value.key);
    }
    return value;
  }

  async #refill(vertex: Vertex, found: Solved): Promise<Solved> {
    const inputs = await Promise.all(vertex.inputs.map((input) => this.#bytes(input.vertex)));
    const doing = `which makes the files of ${vertexName(vertex)} again`;
    const { value } = await this.#deps.flights.run(`${found.key}-bytes`, this.#signal, doing, async () => {
      const again = await this.#records.findAnother(found);
      if (again !== undefined && !again.virtual) return again;
      // A command takes its time and may say something; anything else is not worth a word, as nothing is built anew.
      const loud = vertex.op.kind === 'exec';
      const snapshots = await this.#run(vertex, inputs, loud ? 'loud' : 'quiet');
      const filled = { key: found.key, snapshots, virtual: false };
      this.#save(vertex, await this.#lookup(vertex, inputs), filled);
      if (loud) this.#reporter.completed(vertex, filled.key);
      if (loud) this.#deps.trace?.outcome(vertex, 'refilled', filled.key);
      return filled;
    });
    return value;
  }

  #hit(vertex: Vertex, found: Solved): Solved {
    this.#reporter.cached(vertex, found.key);
    this.#notRun(vertex, 'found', found.key);
    return found;
  }

  /** What another solve of this engine ran, ran in this build. */
  #notRun(vertex: Vertex, outcome: 'found' | 'shared', key: string): void {
    if (!this.#deps.told.startTimes.has(vertex.digest)) this.#deps.trace?.outcome(vertex, outcome, key);
  }

  #traceLookup(vertex: Vertex, { key, op, content, records }: Lookup): void {
    this.#deps.trace?.lookup(vertex, { key, op, content, records, source: this.#sources.get(vertex.digest) });
  }

  #save(vertex: Vertex, lookup: Lookup, solved: Solved): void {
    this.#records.save(vertex, solved, lookup, this.#definitionKey(vertex), this.#sources.get(vertex.digest));
  }

  /** A source is what its key says, however often it is fetched. */
  #replaces(vertex: Vertex): boolean {
    return vertex.op.kind !== 'source' && this.#isNoCache(vertex);
  }

  // running

  async #run(
    vertex: Vertex,
    inputs: readonly Solved[],
    manner: 'loud' | 'quiet' = 'loud',
  ): Promise<readonly Snapshot[]> {
    const snapshots = vertex.inputs.map(({ index }, i) => snapshotAt(inputs[i], index));
    return this.#attempt(vertex, () => {
      const task = () => {
        if (manner === 'loud') this.#reporter.started(vertex);
        return this.#deps.worker.run(vertex, snapshots, this.#context(vertex, manner));
      };
      return vertex.op.kind === 'exec' ? this.#runs.run(task, this.#signal) : task();
    });
  }

  /** Reports and locates what goes wrong in `task`. */
  async #attempt<T>(vertex: Vertex, task: () => Promise<T>): Promise<T> {
    this.#signal.throwIfAborted();
    try {
      return await task();
    } catch (error) {
      const stopped = this.#signal.aborted;
      const located = toBuildError(error, vertex.metadata.location);
      this.#reporter.failed(vertex, stopped ? CANCELED : located.message);
      throw located;
    }
  }

  #context(vertex: Vertex, manner: 'loud' | 'quiet' = 'loud'): WorkContext {
    const { events } = this.#options;
    return {
      signal: this.#signal,
      events:
        manner === 'loud'
          ? events
          : (event) => {
              const own = (event.type === 'log' || event.type === 'status') && event.vertex === vertex.digest;
              if (!own) events(event);
            },
      location: vertex.metadata.location,
      anew: this.#isNoCache(vertex),
    };
  }

  // tasks

  #once(memory: Map<Digest, Promise<Solved>>, vertex: Vertex, task: () => Promise<Solved>): Promise<Solved> {
    const known = memory.get(vertex.digest);
    if (known !== undefined) return known;
    const started = this.#start(task);
    memory.set(vertex.digest, started);
    return started;
  }

  /**
   * Starts a task in a turn of its own: however long a chain of vertices is, none is on the stack of another. The first
   * task that fails stops all others.
   */
  #start<T>(task: () => Promise<T>): Promise<T> {
    const started = Promise.resolve().then(() => {
      this.#signal.throwIfAborted();
      return task();
    });
    this.#tasks.add(started);
    started.catch((error: unknown) => this.#fail(error)).finally(() => this.#tasks.delete(started));
    return started;
  }

  #fail(error: unknown): void {
    if (this.#failure !== undefined) return;
    this.#failure = this.#options.signal.aborted ? cancelled() : toBuildError(error, undefined);
    this.#abort.abort(this.#failure);
  }

  #isNoCache(vertex: Vertex): boolean {
    return isNoCache(this.#options.noCache, vertex);
  }
}

function snapshotAt(solved: Solved | undefined, index: number): Snapshot {
  const snapshot = solved?.snapshots[index];
  if (snapshot === undefined) {
    throw new BuildError({ code: 'internal', message: `a step has no output ${index}` });
  }
  return snapshot;
}

function edgeName(vertex: Vertex, input: number): string {
  return `${vertex.digest} ${input}`;
}
