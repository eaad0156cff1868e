/** A build on BuildKit: the same reading and converting, with daemons as the machines. */
import { writeFile } from 'node:fs/promises';
import { resolve } from 'node:path';
import { parseRemoteOutputs, withEpoch, type RemoteOutput } from '../../buildkit/index.ts';
import { BuildError, isDigest, type RemoteResult } from '../../contracts/index.ts';
import { parseReference, referenceToString } from '../../image/reference.ts';
import { redactError, redactSecrets } from '../../progress/index.ts';
import { both } from '../records/build-record.ts';
import type { Builder } from '../builders/types.ts';
import { cwdOf } from '../inputs/inputs.ts';
import type { BuildOptions, BuildResult, StageWeight } from '../options.ts';
import { parsePlatforms } from '../inputs/platform.ts';
import { buildPart, type RemoteBuild } from './part.ts';
import { openRemoteRecord, type RemoteRecord } from './record.ts';
import { parseSecrets, servedSecrets } from '../inputs/secrets.ts';

/**
 * Builds on the daemons of `builder`, and remembers it as every build.
 *
 * @throws BuildError with every code of contracts/error.ts
 */
export async function buildOnBuilder(options: BuildOptions, builder: Builder): Promise<BuildResult> {
  const record = await openRemoteRecord(options);
  const observed = { ...options, onEvent: both(record.recorder.sink, options.onEvent) };
  let failure: unknown;
  try {
    return { ...(await buildRemote(observed, builder, record)), id: record.recorder.id };
  } catch (error) {
    failure = error;
    throw error;
  } finally {
    await record.close(failure);
  }
}

async function buildRemote(
  options: BuildOptions,
  builder: Builder,
  record: RemoteRecord,
): Promise<Omit<BuildResult, 'id'>> {
  const env = options.env ?? process.env;
  refuseWhatStaysHere(options);
  const served = servedSecrets(parseSecrets(options.secrets ?? [], env, cwdOf(options)));
  const events = redactSecrets(options.onEvent ?? (() => undefined), () => served.values());
  const parsed = parseRemoteOutputs({
    words: options.outputs ?? [],
    names: options.tags ?? [],
    cwd: cwdOf(options),
    annotations: options.annotations,
  });
  const named = parsed.map(withWholeNames);
  const outputs = options.buildArgs?.['SOURCE_DATE_EPOCH'] === undefined ? named : withEpoch(named);
  const platforms = options.platform === undefined ? undefined : parsePlatforms(options.platform);
  try {
    const weights = new Map<string, StageWeight>();
    const build = { options, builder, record, events, secrets: served.provide, weights };
    if (builder.nodes.length > 1) {
      const { buildOnNodes } = await import('./nodes.ts');
      return await finish(build, await buildOnNodes(build, outputs, platforms), outputs);
    }
    const multiPlatform = (platforms?.length ?? 1) > 1;
    const result = await buildPart(build, { nodes: builder.nodes, platforms, outputs, multiPlatform });
    return await finish(build, result, outputs);
  } catch (error) {
    throw error instanceof BuildError ? redactError(error, served.values()) : error;
  }
}

/**
 * Names as registries and other tools have them; a layout has them from us.
 *
 * @throws BuildError `usage` for a name that is none: the user's slip, not something to ask a daemon
 */
function withWholeNames(output: RemoteOutput): RemoteOutput {
  const names = (output.attrs['name'] ?? '').split(',').filter(Boolean);
  const whole = names.map((name) => {
    const { tag = 'latest', ...reference } = parseReference(name);
    return referenceToString({ ...reference, tag });
  });
  if (output.receive?.kind !== 'layout' || names.length === 0) return output;
  return { ...output, attrs: { ...output.attrs, name: whole.join(',') } };
}

/** Words that only mean something where the steps run in this process. */
function refuseWhatStaysHere(options: BuildOptions): void {
  const refused = [
    options.maxParallelRuns === undefined
      ? undefined
      : '--jobs: the daemon decides how much runs at once (max-parallelism)',
    (options.mirrors ?? []).length === 0 ? undefined : '--mirror: the daemon pulls, and has mirrors of its own',
    options.offline === true ? '--offline: the daemon asks registries by itself' : undefined,
    options.frozen === true ? '--frozen: a daemon resolves names by itself' : undefined,
    options.verifyCache === undefined ? undefined : "--verify-cache: the cache is the daemon's",
  ].find((text) => text !== undefined);
  if (refused === undefined) return;
  const [flag = '', reason = ''] = refused.split(': ');
  throw new BuildError({
    code: 'unsupported',
    message: `${flag} is not for a BuildKit daemon`,
    hint: `${reason}; leave it out, or build with --builder embedded`,
  });
}

/** Says what was made, and writes the files that were asked for. */
async function finish(
  { options, events, weights }: Pick<RemoteBuild, 'options' | 'events' | 'weights'>,
  { response }: RemoteResult,
  outputs: readonly RemoteOutput[],
): Promise<Omit<BuildResult, 'id'>> {
  const digest = response['containerimage.digest'] ?? '';
  const config = response['containerimage.config.digest'] ?? '';
  const names = (response['image.name'] ?? '').split(',').filter(Boolean);
  const image = !isDigest(digest)
    ? undefined
    : {
        digest,
        configDigest: isDigest(config) ? config : undefined,
        layersSize: undefined,
        layers: undefined,
        names: names.length > 0 ? names : [...(options.tags ?? [])],
      };
  const stages = [...weights.values()];
  for (const stage of stages) events({ type: 'stage', ...stage });
  if (image !== undefined) {
    events({ type: 'image', digest: image.digest, names: image.names, size: undefined, layers: undefined });
    if (options.iidFile !== undefined)
      await writeFile(resolve(cwdOf(options), options.iidFile), image.configDigest ?? image.digest);
  } else if (outputs.length === 0) {
    events({
      type: 'warning',
      message: 'no output was asked for: the result stays in the cache of the daemon',
      hint: 'add -t NAME for its image store, --push for a registry, or -o DIRECTORY for files',
    });
  }
  if (options.metadataFile !== undefined) {
    const path = resolve(cwdOf(options), options.metadataFile);
    await writeFile(path, `${JSON.stringify(metadata(response), undefined, 2)}\n`);
  }
  return { image, stages };
}

/** As buildx writes it: what the daemon said, with the descriptor as an object. */
function metadata(response: Readonly<Record<string, string>>): Readonly<Record<string, unknown>> {
  return Object.fromEntries(
    Object.entries(response).map(([key, value]) => {
      if (!key.endsWith('.descriptor')) return [key, value];
      return [key, JSON.parse(Buffer.from(value, 'base64').toString('utf8')) as unknown];
    }),
  );
}
