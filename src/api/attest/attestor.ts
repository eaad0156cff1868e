/** Joins what a build knows of itself with the makers of attestations. */
import { randomUUID } from 'node:crypto';
import { isAbsolute, basename } from 'node:path';
import type { AttestedPredicate, ExportInput, SolveResult } from '../../contracts/index.ts';
import { loadAttest, type AttestationRequest, type Material } from '../../export/index.ts';
import type { FrontendResult } from '../../frontend/index.ts';
import { scrub } from '../../progress/index.ts';
import type { Inputs } from '../inputs/inputs.ts';
import type { BuildOptions } from '../options.ts';
import { hostPlatform } from '../inputs/platform.ts';
import { parseSecrets } from '../inputs/secrets.ts';
import { cwdOf } from '../inputs/inputs.ts';
import { VERSION } from '../version.ts';
import { graphSteps } from './graph-steps.ts';
import { layerSteps } from './layer-steps.ts';
import { materialsOf, platformName } from './materials.ts';
import type { SeenSources } from './seen-sources.ts';

export interface Attested {
  readonly options: BuildOptions;
  readonly inputs: Inputs;
  readonly seen: SeenSources;
  /** Milliseconds since the epoch. */
  readonly started: number;
}

/** For {@link ExportInput.attest}, of one platform: made once, whatever the number of destinations. */
export type Attestor = (frontend: FrontendResult, solved: SolveResult) => NonNullable<ExportInput['attest']>;

export function createAttestor(request: AttestationRequest, about: Attested): Attestor {
  const invocationId = randomUUID();
  return (frontend, solved) => {
    const made = new Map<string, Promise<readonly AttestedPredicate[]>>();
    return async (diffIds) => {
      const key = diffIds.join(' ');
      let predicates = made.get(key);
      if (predicates === undefined)
        made.set(key, (predicates = attest(request, about, invocationId, frontend, solved, diffIds)));
      return await predicates;
    };
  };
}

async function attest(
  request: AttestationRequest,
  about: Attested,
  invocationId: string,
  frontend: FrontendResult,
  solved: SolveResult,
  diffIds: readonly string[],
): Promise<readonly AttestedPredicate[]> {
  const predicates: AttestedPredicate[] = [];
  const { takeInventory, spdx } = await loadAttest();
  if (request.sbom === true) {
    const inventory = await takeInventory(solved.snapshot, await layerSteps(frontend, solved));
    const { options } = about;
    const created = frontend.sourceDateEpoch === undefined ? about.started : frontend.sourceDateEpoch * 1000;
    const name = options.tags?.[0] ?? frontend.target.name;
    predicates.push(spdx(inventory, { name, tool: `slipway-${VERSION}`, created, layers: diffIds }));
  }
  if (request.provenance !== undefined)
    predicates.push(await provenanceOf(request.provenance, about, invocationId, frontend));
  return predicates;
}

async function provenanceOf(
  { mode, builderId, reproducible }: NonNullable<AttestationRequest['provenance']>,
  { options, inputs, seen, started }: Attested,
  invocationId: string,
  { definition }: FrontendResult,
): Promise<AttestedPredicate> {
  const { provenance } = await loadAttest();
  const hidden = secretValues(options);
  const { filename, text } = inputs.dockerfile;
  const materials = await materialsOf(definition, seen);
  const execs = definition.vertices.flatMap(({ op }) => (op.kind === 'exec' ? [op] : []));
  const mounts = execs.flatMap((op) => op.mounts.map(({ type }) => type));
  const secrets = [
    ...mounts.flatMap((type) => (type.kind === 'secret' ? [type] : [])),
    ...execs.flatMap(({ secretEnv }) => secretEnv),
  ];
  return provenance({
    mode,
    builderId,
    builderVersion: { slipway: VERSION },
    builderPlatform: platformName(hostPlatform()),
    configSource: { material: contextMaterial(inputs, materials), path: shownPath(filename) },
    args: requestArgs(options, inputs),
    locals: definition.vertices
      .flatMap(({ op }) =>
        op.kind === 'source' && op.identifier.startsWith('local://') ? [op.identifier.slice('local://'.length)] : [],
      )
      .filter((name, i, all) => all.indexOf(name) === i),
    secrets: byId(secrets),
    ssh: byId(mounts.flatMap((type) => (type.kind === 'ssh' ? [type] : []))),
    materials,
    hermetic: execs.every(({ network }) => network === 'none'),
    reproducible,
    invocationId,
    started,
    finished: Date.now(),
    steps: mode === 'max' ? graphSteps(definition, (data) => scrub(data, hidden)) : [],
    dockerfile: { filename: shownPath(filename), text },
    hidden,
  });
}

/** A path of this machine says nothing to others. */
function shownPath(filename: string): string {
  return isAbsolute(filename) ? basename(filename) : filename;
}

/** By BuildKit's names (frontend/dockerui, config.go). */
function requestArgs(options: BuildOptions, { contexts }: Inputs): Readonly<Record<string, string>> {
  const args: Record<string, string> = {};
  const { target, noCache, platform, network } = options;
  if (target !== undefined) args['target'] = target;
  if (noCache === true) args['no-cache'] = '';
  else if (Array.isArray(noCache) && noCache.length > 0) args['no-cache'] = noCache.join(',');
  const platforms = [platform ?? []].flat().join(',');
  if (platforms !== '') args['platform'] = platforms;
  if (network !== undefined && network !== 'sandbox') args['force-network-mode'] = network;
  for (const [name, value] of Object.entries(options.buildArgs ?? {})) args[`build-arg:${name}`] = value;
  for (const [name, value] of Object.entries(options.labels ?? {})) args[`label:${name}`] = value;
  for (const [name, context] of Object.entries(contexts)) {
    args[`context:${name}`] =
      context.kind === 'docker-image'
        ? `docker-image://${context.ref}`
        : context.kind === 'git' || context.kind === 'http'
          ? context.url
          : `${context.kind}:${name}`;
  }
  return args;
}

/** What the remote context was; undefined for one on this machine. */
function contextMaterial({ context }: Inputs, materials: readonly Material[]): Material | undefined {
  if (context.kind !== 'git' && context.kind !== 'http') return undefined;
  const wanted = context.url.replace(/^git:\/\//, '');
  return materials.find(({ uri }) => uri === context.url || uri.split('#')[0] === wanted.split('#')[0]);
}

function byId(
  used: readonly { readonly id: string; readonly optional: boolean }[],
): readonly { readonly id: string; readonly optional: boolean }[] {
  const needed = new Map<string, boolean>();
  for (const { id, optional } of used) needed.set(id, (needed.get(id) ?? true) && optional);
  return [...needed].map(([id, optional]) => ({ id, optional })).sort((a, b) => (a.id < b.id ? -1 : 1));
}

/** Of all secrets that were given, whether a step read them now or in an earlier build. */
function secretValues(options: BuildOptions): readonly string[] {
  const words = options.secrets ?? [];
  const provide = parseSecrets(words, options.env ?? process.env, cwdOf(options));
  const ids = words.flatMap((word) => /(?:^|,)id=([^,]+)/.exec(word)?.[1] ?? []);
  return ids.flatMap((id) => {
    try {
      const value = Buffer.from(provide(id) ?? '')
        .toString('utf8')
        .trim();
      // A line of a key is as secret as all of it.
      return [value, ...value.split(/\r?\n/).filter((line) => line.length >= 8)].filter((text) => text !== '');
    } catch {
      // Gone since; no step can have read it now.
      return [];
    }
  });
}
