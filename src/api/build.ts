import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { BuildError, type ExportedImage, type ExportInput } from '../contracts/index.ts';
import { parseOutput, type OutputSpec } from '../export/index.ts';
import type { FrontendResult, FrontendWarning } from '../frontend/index.ts';
import { marshal, printJson } from '../llb/index.ts';
import { createEngine } from '../solver/index.ts';
import { openCache, parseCacheWords, repositoriesOf, type CacheWords } from './cache/cache.ts';
import { openAttestations, type Attestations } from './attest/index.ts';
import { insecureMounts, mountsStay, parseMountWords } from './cache/cache-mounts.ts';
import { insecureHosts } from './cache/cache-words.ts';
import { chooseBuilder } from './builders/builders.ts';
import { both, createBuildRecorder, type BuildRecorder } from './records/build-record.ts';
import { despiteChanges } from './records/context-changes.ts';
import { destinationsOf, insecureRegistries } from './destinations.ts';
import { exportAll, openExporters } from './export-results.ts';
import type { BuildOptions, BuildResult, StageWeight } from './options.ts';
import { cwdOf, withSession, type Session } from './session.ts';
import { solveAll } from './solve-all.ts';
import { allStageWeights } from './weights.ts';

/**
 * Builds a Dockerfile, on this machine or on a BuildKit daemon, and sends the result to its destinations.
 *
 * @throws BuildError with every code of contracts/error.ts; nothing is left behind then but what the cache may keep.
 */
export async function build(options: BuildOptions): Promise<BuildResult> {
  const builder = options.print === undefined ? chooseBuilder(options.builder, options.env ?? process.env) : undefined;
  const attestations = await openAttestations(options, builder !== undefined);
  const mounts = parseMountWords(options);
  if (builder !== undefined && (mounts.from.length > 0 || mounts.to.length > 0)) throw mountsStay();
  if (builder !== undefined && options.squash !== undefined) {
    throw new BuildError({
      code: 'unsupported',
      message: 'a BuildKit daemon does not squash images',
      hint: 'leave --squash out, or build on this machine: --builder embedded',
    });
  }
  if (builder !== undefined) return await (await import('./remote/build.ts')).buildOnBuilder(options, builder);
  const outputs = (options.outputs ?? []).map(parseOutput);
  const cacheWords = parseCacheWords(options);
  if (options.offline === true && outputs.some((output) => output.type === 'image' && output.push)) {
    throw new BuildError({
      code: 'usage',
      message: '--offline pushes nothing',
      hint: 'name the image with -t, and slipway push it later',
    });
  }
  const insecure = [
    ...insecureHosts([...cacheWords.from, ...cacheWords.to]),
    ...insecureMounts(mounts),
    ...insecureRegistries(options, outputs),
  ];
  return await despiteChanges(options, outputs, async () => {
    const recorder = createBuildRecorder(options);
    const observed = { ...options, onEvent: both(recorder.sink, options.onEvent) };
    const carry = async (session: Session): Promise<BuildResult> => {
      let failure: unknown;
      try {
        return {
          ...(await carryOut(observed, { outputs, cacheWords, attestations }, session, recorder)),
          id: recorder.id,
        };
      } catch (error) {
        failure = error;
        throw error;
      } finally {
        if (options.explain !== undefined) {
          const { explainRunning } = await import('./records/explain.ts');
          options.explain(explainRunning(recorder, session.store));
        }
        if (options.print === undefined) recorder.save(session.store, failure);
      }
    };
    return await withSession(observed, carry, {
      listsContent: true,
      insecure,
      mounts,
      pins: attestations?.pins,
      id: recorder.id,
    });
  });
}

/** What the words of a build stand for. */
interface CarriedOut {
  readonly outputs: readonly OutputSpec[];
  readonly cacheWords: CacheWords;
  readonly attestations: Attestations | undefined;
}

async function carryOut(
  options: BuildOptions,
  { outputs, cacheWords, attestations }: CarriedOut,
  session: Session,
  recorder: BuildRecorder,
): Promise<Omit<BuildResult, 'id'>> {
  const { store, worker, events, signal, platforms } = session;
  const destinations = destinationsOf(options, outputs);
  const attests = attestations !== undefined;
  const exporters = options.print === undefined ? await openExporters(destinations, options, session, attests) : [];
  const read = await session.read();
  recorder.dockerfile(read.dockerfile);
  const frontends = await session.convert(read);
  for (const frontend of frontends) recorder.graph(frontend);
  for (const warning of distinctWarnings(frontends)) events({ type: 'warning', ...warning });
  if (options.print !== undefined) return { stages: [], printed: printGraph(options.print, frontends) };
  events({ type: 'engine', engine: 'embedded', detail: store.root });
  const cache = await openCache(cacheWords, session);
  const engine = createEngine({ store, worker, trace: recorder.trace, remote: cache.remote });
  const solveOptions = {
    signal,
    events,
    noCache: options.noCache === true ? ('all' as const) : new Set<never>(),
    maxParallelRuns: options.maxParallelRuns,
    treesOnly: destinations.length === 0 && !cache.writes,
  };
  const needsBytes = destinations.some(({ type }) => type !== 'image' && type !== 'cacheonly');
  const epochs = boundingEpochs(frontends, destinations);
  const attestor = await attestations?.attestor(read.inputs);
  const isSquashed = options.squash !== undefined && destinations.length > 0;
  if (isSquashed && cacheWords.to.some(({ type }) => type === 'inline')) {
    const hint = 'give the cache a place of its own, as type=registry';
    events({ type: 'warning', message: 'no cache is put into a squashed image: its steps have no layers there', hint });
  }
  const { solved, image } = await cache.despiteCaches(async () => {
    const results = await solveAll(engine, frontends, solveOptions);
    if (needsBytes) await cache.fetch(results);
    const inlined = isSquashed
      ? []
      : await Promise.all(results.map(async (result, i) => await cache.inline(result, epochs[i])));
    const made = await Promise.all(
      results.map(async ({ snapshot }, i) => {
        const config: Readonly<Record<string, unknown>> = { ...frontends[i]?.config, ...inlined[i] };
        const plain = { snapshot, config };
        if (options.squash === undefined || !isSquashed) return plain;
        return await (await import('./inputs/squash.ts')).squashImage(options.squash, plain, session);
      }),
    );
    const inputs = results.flatMap((result, i): readonly ExportInput[] => {
      const [frontend, platform, one] = [frontends[i], platforms[i], made[i]];
      if (frontend === undefined || platform === undefined || one === undefined) return [];
      const attest = attestor?.(frontend, result);
      return [{ ...one, platform, sourceDateEpoch: frontend.sourceDateEpoch, attest }];
    });
    return { solved: results, image: await exportAll(exporters, inputs, { events, signal }) };
  });
  session.sources.tellUnpulled();
  await session.mounts.save();
  await cache.write(solved, epochs, image === undefined ? [] : repositoriesOf(image.names));
  const stages = await allStageWeights(frontends, solved, platforms, store);
  await tell(options, image, stages);
  if (options.verifyCache === undefined) return { image, stages };
  const { verifyBuild } = await import('./records/verify.ts');
  return { image, stages, verified: await verifyBuild(options.verifyCache, recorder, frontends, session) };
}

/** SOURCE_DATE_EPOCH of each platform, where every destination is an image that has its times bounded by it. */
function boundingEpochs(
  frontends: readonly FrontendResult[],
  destinations: readonly OutputSpec[],
): readonly (number | undefined)[] {
  const isPlain = destinations.every((spec) => {
    if (!('rewriteTimestamp' in spec)) return false;
    return spec.rewriteTimestamp && spec.sourceDateEpoch === undefined;
  });
  return frontends.map(({ sourceDateEpoch }) => (isPlain ? sourceDateEpoch : undefined));
}

/** For one platform: a graph is printed to be read or sent. */
function printGraph(form: 'llb' | 'json', [{ definition }, ...more]: readonly [FrontendResult, ...FrontendResult[]]) {
  if (more.length > 0) {
    throw new BuildError({
      code: 'usage',
      message: '--print shows the graph of one platform',
      hint: 'name one with --platform',
    });
  }
  return form === 'llb' ? marshal(definition) : printJson(definition);
}

/** What is wrong with a line is said once, not for every platform. */
function distinctWarnings(frontends: readonly FrontendResult[]): readonly FrontendWarning[] {
  const all = frontends.flatMap(({ warnings }) => warnings);
  const key = ({ rule, message, location }: FrontendWarning): string =>
    JSON.stringify([rule, message, location?.ranges ?? []]);
  return [...new Map(all.toReversed().map((warning) => [key(warning), warning])).values()].toReversed();
}

/** Says what was made, and what it all weighed. */
async function tell(
  options: BuildOptions,
  image: ExportedImage | undefined,
  stages: readonly StageWeight[],
): Promise<void> {
  const events = options.onEvent ?? (() => undefined);
  for (const stage of stages) events({ type: 'stage', ...stage });
  if (image !== undefined) {
    events({ type: 'image', digest: image.digest, names: image.names, size: image.layersSize, layers: image.layers });
    const id = image.configDigest ?? image.digest;
    if (options.iidFile !== undefined) await writeFile(resolve(cwdOf(options), options.iidFile), id);
  }
  if (options.metadataFile !== undefined) {
    await writeFile(
      resolve(cwdOf(options), options.metadataFile),
      `${JSON.stringify(metadata(image), undefined, 2)}\n`,
    );
  }
}

/** As buildx writes it (dockerfile-features: metadata-file keys). */
function metadata(image: ExportedImage | undefined): Readonly<Record<string, unknown>> {
  if (image === undefined) return {};
  return {
    ...(image.configDigest !== undefined && { 'containerimage.config.digest': image.configDigest }),
    'containerimage.descriptor': { mediaType: image.mediaType, digest: image.digest, size: image.manifestSize },
    'containerimage.digest': image.digest,
    ...(image.names.length > 0 && { 'image.name': image.names.join(',') }),
  };
}
