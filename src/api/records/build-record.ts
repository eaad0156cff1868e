/**
 * Takes down what a build did: its events, its graph with keys and contents, what became of each step. Written when the
 * build ends, however it ends. A build that finds everything writes one row, as its graph is known.
 */
import { createHash, hash, randomBytes } from 'node:crypto';
import { realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { deflateRawSync } from 'node:zlib';
import {
  BuildError,
  type BuildEvent,
  type BuildEventSink,
  type Digest,
  type SourceFile,
  type SourceLocation,
} from '../../contracts/index.ts';
import type { Dockerfile } from '../../dockerfile/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import type { Vertex } from '../../llb/index.ts';
import { createBuildLog, scrub, withoutCredentials, type RecordedVertex } from '../../progress/index.ts';
import { hasRun } from '../../solver/index.ts';
import type {
  BuildGraph,
  ExplainedBuild,
  GraphStep,
  LookupTrace,
  Outcome,
  RecordInputs,
  SolveTrace,
  StepRun,
} from '../../solver/index.ts';
import type { CacheRecord, Store } from '../../store/index.ts';
import { decodeGraph } from './builds.ts';
import { isRemoteContext } from '../inputs/contexts.ts';
import { parsePlatforms, platformText } from '../inputs/platform.ts';
import type { BuildData, BuildOptionsRecord, BuildSummary } from './build-data.ts';
import type { BuildOptions } from '../options.ts';
import { stagePositions } from './stage-positions.ts';

export interface BuildRecorder {
  readonly id: string;
  readonly lineage: string;
  readonly sink: BuildEventSink;
  readonly trace: SolveTrace;
  /** What is known before the graph is. */
  dockerfile(dockerfile: Dockerfile): void;
  graph(frontend: FrontendResult): void;
  /** For explanations: the build as it will be remembered. Undefined when it did not come to a graph. */
  explained(store: Store): ExplainedBuild | undefined;
  /** @param error Absent = done. Never throws: a record is not worth a build. */
  save(store: Store, error?: unknown): void;
}

export function createBuildRecorder(options: BuildOptions): BuildRecorder {
  const id = randomBytes(5).toString('hex');
  const log = createBuildLog();
  const begun = Date.now();
  const lookups = new Map<Digest, LookupTrace>();
  const outcomes = new Map<Digest, { readonly outcome: Outcome; readonly key: string }>();
  let keys: ReadonlyMap<Digest, string> = new Map();
  let args: Readonly<Record<string, string>> = {};
  /** One a platform. */
  const frontends: FrontendResult[] = [];
  let memory: { readonly id: string; readonly isNew: boolean; readonly graph: () => BuildGraph } | undefined;

  const about: BuildOptionsRecord = {
    context: contextName(options),
    dockerfile: options.dockerfile,
    target: options.target,
    platform: parsePlatforms(options.platform).map(platformText).join(','),
    tags: options.tags ?? [],
    noCache: options.noCache === true ? true : undefined,
  };
  const lineage = lineageOf(about);

  const noCache = ({ metadata }: Vertex): boolean => options.noCache === true || metadata.ignoreCache === true;

  /** Each once, inputs first. */
  const vertices = (): readonly Vertex[] => [
    ...new Map(
      frontends.flatMap(({ definition }) => definition.vertices.map((vertex) => [vertex.digest, vertex] as const)),
    ).values(),
  ];

  /** Of a step's definition; a context has none that would say anything in another build. */
  const keyOf = (vertex: Vertex): string => (stepKind(vertex) === 'local' ? '' : (keys.get(vertex.digest) ?? ''));

  function graphOf(store: Store): NonNullable<typeof memory> {
    if (memory !== undefined) return memory;
    const hasher = createHash('sha256');
    for (const vertex of vertices()) {
      const { digest, metadata } = vertex;
      const own = [
        digest,
        metadata.name ?? '',
        metadata.location?.ranges[0]?.start.line ?? 0,
        keyOf(vertex),
        // What was found by its definition has the inputs that it had before.
        outcomes.get(digest)?.outcome === 'found' ? '' : (lookups.get(digest)?.key ?? ''),
      ];
      hasher.update(JSON.stringify(own));
    }
    const graphId = hasher.digest('hex').slice(0, 32);
    const isNew = !store.hasBuildGraph(graphId);
    let graph: BuildGraph | undefined;
    const read = (): BuildGraph => {
      const stored = isNew ? undefined : store.readBuildGraph(graphId);
      return stored === undefined ? describe(store) : decodeGraph(stored);
    };
    memory = { id: graphId, isNew, graph: () => (graph ??= read()) };
    return memory;
  }

  /** Without credentials in URLs: it is kept, and shown in explanations. */
  function describe(store: Store): BuildGraph {
    const all = vertices();
    const indices = new Map(all.map(({ digest }, i) => [digest, i]));
    const positions = new Map(
      frontends.flatMap(({ stages }) => [
        ...stagePositions(stages, ({ name, platform: own }) =>
          frontends.length === 1 ? name : `${name} ${platformText(own)}`,
        ),
      ]),
    );
    return scrub({
      version: 1,
      steps: all.map((vertex): GraphStep => {
        const { digest, metadata, op } = vertex;
        const key = keyOf(vertex);
        const lookup = lookups.get(digest);
        const name = outcomes.get(digest)?.key ?? key;
        const known = lookup === undefined && name !== '' ? inputsOf(store.findRecord(name)) : undefined;
        return {
          digest,
          kind: stepKind(vertex),
          name: metadata.name ?? (op.kind === 'source' ? op.identifier : op.kind),
          text: metadata.description?.['com.docker.dockerfile.v1.command'] ?? sourceText(metadata.location),
          position: positions.get(digest),
          line: metadata.location?.ranges[0]?.start.line,
          definition: key,
          lookup: lookup?.key ?? known?.lookup,
          op: op.kind === 'source' ? undefined : (lookup?.op ?? known?.op),
          inputs: vertex.inputs.map(({ vertex: input, index }, i) => {
            const content = lookup?.content[i] ?? known?.inputs[i]?.content;
            const whole = content === undefined ? (lookup?.records[i] ?? known?.inputs[i]?.record) : undefined;
            return { step: indices.get(input.digest) ?? -1, index, content, record: whole };
          }),
          source: lookup?.source ?? known?.source,
          identifier: op.kind === 'source' ? op.identifier : undefined,
          size: name === '' ? undefined : sizeOf(name, store),
        };
      }),
    });
  }

  /** By record: the row of one names all layers of its step. */
  const sizes = new Map<string, number>();

  /** Bytes of the layer that the step added. */
  function sizeOf(key: string, store: Store): number | undefined {
    const seen = sizes.get(key);
    if (seen !== undefined) return seen;
    const top = store.findRecord(key)?.outputs[0]?.at(-1);
    const size = top === undefined ? undefined : store.layer(top)?.size;
    if (size !== undefined) sizes.set(key, size);
    return size;
  }

  function runsOf(store: Store, recorded: ReadonlyMap<Digest, RecordedVertex>): readonly StepRun[] {
    return vertices().map((vertex): StepRun => {
      const { digest } = vertex;
      const event = recorded.get(digest);
      const known = outcomes.get(digest);
      const failed = event?.error !== undefined && known === undefined;
      const outcome = known?.outcome ?? (failed ? 'failed' : event?.cached === true ? 'found' : undefined);
      if (outcome === undefined || outcome === 'found') return { outcome, key: known?.key };
      return {
        outcome,
        key: known?.key,
        noCache: noCache(vertex) ? true : undefined,
        started: event?.started,
        duration: durationOf(event),
        error: event?.error,
        output: event?.output,
        transferred: event?.transferred,
        size: known === undefined ? undefined : sizeOf(known.key, store),
      };
    });
  }

  function explained(store: Store): ExplainedBuild | undefined {
    if (frontends.length === 0) return undefined;
    const recorded = new Map(log.record().vertices.map((vertex) => [vertex.digest, vertex]));
    return { id, graph: graphOf(store).graph(), runs: runsOf(store, recorded), args };
  }

  return {
    id,
    lineage,
    sink: log.sink,
    trace: {
      keys: (found) => (keys = new Map([...keys, ...found])),
      lookup: (vertex, lookup) => lookups.set(vertex.digest, lookup),
      outcome: (vertex, outcome, key) => outcomes.set(vertex.digest, { outcome, key }),
    },
    dockerfile: (dockerfile) => (args = scrub(declaredArgs(dockerfile, options.buildArgs ?? {}))),
    graph: (result) => void frontends.push(result),
    explained,
    save(store, error) {
      try {
        write(store, error);
      } catch {
        // A full disk or a damaged database has been or will be told by whoever needs it.
      }
    },
  };

  function write(store: Store, error: unknown): void {
    const record = log.record();
    const recorded = new Map(record.vertices.map((vertex) => [vertex.digest, vertex]));
    const steps = new Set(vertices().map(({ digest }) => digest));
    const runs = runsOf(store, recorded);
    const graph = frontends.length === 0 ? undefined : graphOf(store);
    const data: BuildData = {
      version: 1,
      options: about,
      args,
      runs,
      others: record.vertices
        .filter(({ digest }) => !steps.has(digest))
        .map((vertex) => ({
          name: vertex.name,
          started: vertex.started,
          duration: durationOf(vertex),
          error: vertex.error,
          transferred: vertex.transferred,
        })),
      warnings: record.warnings,
      stages: record.stages,
      image: record.image,
      engine: record.engine,
      error: error === undefined ? undefined : scrub(errorOf(error)),
    };
    const summary: BuildSummary = {
      version: 1,
      result: error === undefined ? 'done' : isCancelled(error) ? 'cancelled' : 'failed',
      duration: Date.now() - begun,
      ...about,
      ran: vertices().filter((vertex, i) => isStep(vertex) && hasRun(runs[i] ?? {})).length,
      cached: vertices().filter((vertex, i) => isStep(vertex) && runs[i]?.outcome === 'found').length,
      image: record.image?.digest,
    };
    const row = {
      id,
      created: begun,
      lineage,
      graph: graph?.id,
      summary: JSON.stringify(summary),
      data: JSON.stringify(data),
    };
    store.saveBuild(row, graph?.isNew === true ? encoded(graph.id, graph.graph()) : undefined);
  }
}

/** Builds of one lineage are compared with each other. */
function lineageOf({ context, dockerfile = '', target = '', platform }: BuildOptionsRecord): string {
  return hash('sha256', JSON.stringify([context, dockerfile, target, platform]), 'hex').slice(0, 32);
}

function encoded(id: string, graph: BuildGraph) {
  const contents = graph.steps.flatMap(({ inputs }) => inputs.flatMap(({ content }) => content ?? []));
  const data = deflateRawSync(JSON.stringify(graph), { level: 1 });
  return { id, data, contents: [...new Set(contents)] };
}

/** The instruction as it stands in the Dockerfile, here-documents included. */
function sourceText(location: SourceLocation | undefined): string | undefined {
  const range = location?.ranges[0];
  if (location === undefined || range === undefined) return undefined;
  const end = range.end.column === 0 ? range.end.line - 1 : range.end.line;
  let lines = linesOf.get(location.file);
  if (lines === undefined) linesOf.set(location.file, (lines = location.file.text.split(/\r?\n/)));
  return lines
    .slice(range.start.line - 1, end)
    .join('\n')
    .trim();
}

const linesOf = new WeakMap<SourceFile, readonly string[]>();

/** As explanations count: here-documents are parts of other steps. */
function isStep({ op, metadata }: Vertex): boolean {
  return op.kind !== 'source' && metadata.name?.startsWith('[internal] ') !== true;
}

function contextName(options: BuildOptions): string {
  if (options.context === '-') return '-';
  const cwd = options.cwd ?? process.cwd();
  if (isRemoteContext(options.context, cwd)) return withoutCredentials(options.context);
  const path = resolve(cwd, options.context);
  try {
    return realpathSync(path);
  } catch {
    return path;
  }
}

/** ARGs of the file with the values that they have unless the file computes them. */
function declaredArgs(
  { globalArgs, stages }: Dockerfile,
  buildArgs: Readonly<Record<string, string>>,
): Readonly<Record<string, string>> {
  const instructions = [...globalArgs, ...stages.flatMap((stage) => stage.instructions)];
  const args: Record<string, string> = {};
  for (const instruction of instructions) {
    if (instruction.name !== 'ARG') continue;
    for (const { key, value } of instruction.args) {
      args[key.text] = buildArgs[key.text] ?? value?.text ?? args[key.text] ?? '';
    }
  }
  const epoch = buildArgs['SOURCE_DATE_EPOCH'];
  return epoch === undefined ? args : { ...args, SOURCE_DATE_EPOCH: epoch };
}

function stepKind({ op }: Vertex): GraphStep['kind'] {
  if (op.kind !== 'source') return op.kind;
  if (op.identifier.startsWith('local://')) return 'local';
  return /^(docker-image|oci-layout):\/\//.test(op.identifier) ? 'image' : 'source';
}

function inputsOf(record: CacheRecord | undefined): RecordInputs | undefined {
  if (record === undefined) return undefined;
  const inputs = JSON.parse(record.inputs) as Partial<RecordInputs>;
  return inputs.version === 1 ? (inputs as RecordInputs) : undefined;
}

function durationOf(vertex: RecordedVertex | undefined): number | undefined {
  if (vertex?.started === undefined || vertex.completed === undefined) return undefined;
  return Math.max(0, Math.round((vertex.completed - vertex.started) * 100) / 100);
}

function errorOf(error: unknown): { readonly code: string; readonly message: string } {
  if (error instanceof BuildError) return { code: error.code, message: error.message };
  return { code: 'internal', message: error instanceof Error ? error.message : String(error) };
}

function isCancelled(error: unknown): boolean {
  return error instanceof BuildError && error.code === 'cancelled';
}

/** Events go to the caller and into the record. */
export function both(a: BuildEventSink, b: BuildEventSink | undefined): BuildEventSink {
  if (b === undefined) return a;
  return (event: BuildEvent) => {
    a(event);
    b(event);
  };
}
