/**
 * SLSA provenance v1 (slsa.dev/spec/v1.1/provenance) with BuildKit's build type and extension fields
 * (docs/attestations/slsa-definitions.md): from what an image was built, how, when.
 */
import { scrub } from '../../progress/index.ts';
import { formatTime } from '../time.ts';
import { PREDICATE_TYPES, type Predicate } from './statement.ts';

/** Says what the parameters mean; ours mean what BuildKit's do. */
const BUILD_TYPE = 'https://github.com/moby/buildkit/blob/master/docs/attestations/slsa-definitions.md';

export type ProvenanceMode = 'min' | 'max';

/** Something that was read from elsewhere, with what fixes its content. */
export interface Material {
  /** A URL, or a package URL for images. */
  readonly uri: string;
  /** Algorithm to hex digits: sha256, or sha1 for a git commit. */
  readonly digest: Readonly<Record<string, string>>;
}

export interface ProvenanceStep {
  /** `step0`, ... */
  readonly id: string;
  readonly op: unknown;
  /** `step0:0`: output of a step. */
  readonly inputs: readonly string[];
  /** Lines in the Dockerfile, from 1, both counted in. */
  readonly lines: readonly { readonly start: number; readonly end: number }[];
}

export interface ProvenanceInput {
  readonly mode: ProvenanceMode;
  /** Who vouches for the build, a URL; empty = nobody. */
  readonly builderId: string;
  /** Programs and their versions. */
  readonly builderVersion: Readonly<Record<string, string>>;
  /** As `linux/amd64`. */
  readonly builderPlatform: string;
  /** The remote context, when there is one, and the Dockerfile's path in it. */
  readonly configSource: { readonly material?: Material | undefined; readonly path: string };
  /** By BuildKit's names: `target`, `build-arg:NAME`, `label:NAME`, ... */
  readonly args: Readonly<Record<string, string>>;
  /** Local sources: `context`, ... */
  readonly locals: readonly string[];
  /** By id, never a value. */
  readonly secrets: readonly { readonly id: string; readonly optional: boolean }[];
  readonly ssh: readonly { readonly id: string; readonly optional: boolean }[];
  readonly materials: readonly Material[];
  /** No step had a network. */
  readonly hermetic: boolean;
  readonly reproducible: boolean;
  readonly invocationId: string;
  /** Milliseconds since the epoch. */
  readonly started: number;
  readonly finished: number;
  readonly steps: readonly ProvenanceStep[];
  readonly dockerfile: { readonly filename: string; readonly text: string };
  /** Values that must not be in it, wherever else they were written. */
  readonly hidden: readonly string[];
}

export function provenance(input: ProvenanceInput): Predicate {
  const { mode, configSource, materials, hidden } = input;
  const isMax = mode === 'max';
  const isPrivate = (name: string): boolean => /^(build-arg|label):/.test(name);
  const args = Object.entries(input.args).filter(([name]) => isMax || !isPrivate(name));
  const isWhole = isMax || !Object.keys(input.args).some(isPrivate);
  const content = {
    buildDefinition: {
      buildType: BUILD_TYPE,
      externalParameters: {
        configSource: { ...configSource.material, path: configSource.path },
        request: {
          frontend: 'dockerfile.v0',
          args: Object.fromEntries(args.sort(([a], [b]) => (a < b ? -1 : 1))),
          ...(isMax && input.secrets.length > 0 ? { secrets: input.secrets } : {}),
          ...(isMax && input.ssh.length > 0 ? { ssh: input.ssh } : {}),
          ...(input.locals.length > 0 ? { locals: input.locals.map((name) => ({ name })) } : {}),
        },
      },
      internalParameters: {
        ...(isMax
          ? { buildConfig: { llbDefinition: input.steps.map(({ id, op, inputs }) => ({ id, op, inputs })) } }
          : {}),
        builderPlatform: input.builderPlatform,
      },
      resolvedDependencies: distinct(materials),
    },
    runDetails: {
      builder: { id: input.builderId, version: input.builderVersion },
      metadata: {
        invocationID: input.invocationId,
        startedOn: formatTime(input.started),
        finishedOn: formatTime(input.finished),
        buildkit_metadata: isMax ? { source: sourceMap(input) } : {},
        buildkit_hermetic: input.hermetic,
        buildkit_completeness: {
          request: isWhole,
          // What lies in a local directory is nothing that a digest fixes.
          resolvedDependencies: input.locals.length === 0 && input.hermetic,
        },
        buildkit_reproducible: input.reproducible,
      },
    },
  };
  return { type: PREDICATE_TYPES.provenance, content: scrub(content, hidden) };
}

/** Which lines of the Dockerfile a step came from, and the Dockerfile. */
function sourceMap({ steps, dockerfile, hidden }: ProvenanceInput): unknown {
  const locations = steps
    .filter(({ lines }) => lines.length > 0)
    .map(({ id, lines }) => {
      const ranges = lines.map(({ start, end }) => ({ start: { line: start }, end: { line: end } }));
      return [id, { locations: [{ ranges }] }] as const;
    });
  // Once it is base64, nothing can be found in it any more.
  const data = Buffer.from(scrub(dockerfile.text, hidden)).toString('base64');
  return {
    locations: Object.fromEntries(locations),
    infos: [{ filename: dockerfile.filename, language: 'Dockerfile', data }],
  };
}

function distinct(materials: readonly Material[]): readonly Material[] {
  const all = new Map(materials.map((material) => [`${material.uri} ${JSON.stringify(material.digest)}`, material]));
  return [...all.values()].sort((a, b) => (a.uri < b.uri ? -1 : 1));
}
