import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import type { BuildEventSink, ExportResult, SolveResult } from '../contracts/index.ts';
import { createExporter, parseOutput, type OutputSpec } from '../export/index.ts';
import type { FrontendResult } from '../frontend/index.ts';
import { marshal, printJson } from '../llb/index.ts';
import type { Registry } from '../registry/index.ts';
import { createEngine } from '../solver/index.ts';
import type { Store } from '../store/index.ts';
import { both, createBuildRecorder, type BuildRecorder } from './build-record.ts';
import { destinationsOf } from './destinations.ts';
import { otherStageHint } from './missing-source.ts';
import type { BuildOptions, BuildResult } from './options.ts';
import { cwdOf, withSession, type Session } from './session.ts';
import { step } from './steps.ts';
import { stageWeights } from './weights.ts';

/**
 * Builds a Dockerfile on this machine and sends the result to its destinations.
 *
 * @throws BuildError with every code of contracts/error.ts; nothing is left behind then but what the cache may keep.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const outputs = (options.outputs ?? []).map(parseOutput);
  const recorder = createBuildRecorder(options);
  const observed = { ...options, onEvent: both(recorder.sink, options.onEvent) };
  return await withSession(observed, async (session) => {
    let failure: unknown;
    try {
      return { ...(await carryOut(observed, outputs, session, recorder)), id: recorder.id };
    } catch (error) {
      failure = error;
      throw error;
    } finally {
      if (options.explain !== undefined) {
        const { explainRunning } = await import('./explain.ts');
        options.explain(explainRunning(recorder, session.store));
      }
      if (options.print === undefined) recorder.save(session.store, failure);
    }
  });
}

async function carryOut(
  options: BuildOptions,
  outputs: readonly OutputSpec[],
  session: Session,
  recorder: BuildRecorder,
): Promise<Omit<BuildResult, 'id'>> {
  const { store, registry, worker, events, signal, platform } = session;
  const read = await session.read();
  recorder.dockerfile(read.dockerfile);
  const frontend = await session.convert(read);
  recorder.graph(frontend);
  for (const warning of frontend.warnings) events({ type: 'warning', ...warning });
  if (options.print !== undefined) {
    return {
      stages: [],
      printed: options.print === 'llb' ? marshal(frontend.definition) : printJson(frontend.definition),
    };
  }
  events({ type: 'engine', engine: 'embedded', detail: store.root });
  const engine = createEngine({ store, worker, trace: recorder.trace });
  const solved = await engine.solve(frontend.definition, {
    signal,
    events,
    noCache: options.noCache === true ? 'all' : new Set<never>(),
    maxParallelRuns: options.maxParallelRuns,
    treesOnly: destinationsOf(options, outputs).length === 0,
    onFailure: async (error, peek) => await otherStageHint(error, frontend, peek),
  });
  return await finish(options, { outputs, frontend, solved, store, registry, events, signal, platform });
}

interface Finished {
  readonly outputs: readonly OutputSpec[];
  readonly frontend: FrontendResult;
  readonly solved: SolveResult;
  readonly store: Store;
  readonly registry: Registry;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  readonly platform: Session['platform'];
}

/** Exports, then says what it all weighed. */
async function finish(options: BuildOptions, done: Finished): Promise<Omit<BuildResult, 'id'>> {
  const { frontend, solved, store, registry, events, signal, platform } = done;
  const names = options.tags ?? [];
  const destinations = destinationsOf(options, done.outputs);
  const input = {
    snapshot: solved.snapshot,
    config: { ...frontend.config },
    platform,
    sourceDateEpoch: frontend.sourceDateEpoch,
  };
  let image: ExportResult['image'];
  for (const spec of destinations) {
    const exporter = await createExporter(spec, {
      store,
      registry,
      stdout: options.stdout ?? process.stdout,
      names,
      cwd: cwdOf(options),
    });
    const result = await step(
      events,
      exporter.name,
      async (bound) => await exporter.export(input, { signal, events: bound }),
    );
    image ??= result.image;
  }
  const stages = await stageWeights(frontend.stages, frontend.target, solved, store);
  for (const stage of stages) events({ type: 'stage', ...stage });
  if (image !== undefined) {
    events({ type: 'image', digest: image.digest, names: image.names, size: image.layersSize, layers: image.layers });
    if (options.iidFile !== undefined) await writeFile(resolve(cwdOf(options), options.iidFile), image.configDigest);
  }
  if (options.metadataFile !== undefined) {
    await writeFile(
      resolve(cwdOf(options), options.metadataFile),
      `${JSON.stringify(metadata(image), undefined, 2)}\n`,
    );
  }
  return { image, stages };
}

/** As buildx writes it (dockerfile-features: metadata-file keys). */
function metadata(image: ExportResult['image']): Readonly<Record<string, unknown>> {
  if (image === undefined) return {};
  return {
    'containerimage.config.digest': image.configDigest,
    'containerimage.descriptor': { mediaType: image.mediaType, digest: image.digest, size: image.manifestSize },
    'containerimage.digest': image.digest,
    ...(image.names.length > 0 && { 'image.name': image.names.join(',') }),
  };
}
