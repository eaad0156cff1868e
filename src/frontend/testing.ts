/** For tests of this room: a resolver over literal configs, and graphs in a form that is easy to compare. */
import { BuildError } from '../contracts/index.ts';
import type { Digest } from '../contracts/index.ts';
import { parseDockerfile } from '../dockerfile/index.ts';
import type { ContainerConfig, ImageConfig } from '../image/types.ts';
import type { Op, Vertex } from '../llb/index.ts';
import { dockerfileToLlb } from './convert.ts';
import type { FrontendOptions, FrontendResult, Resolver } from './types.ts';

export const AMD64 = { os: 'linux', architecture: 'amd64' };
export const LAYER: Digest = `sha256:${'1'.repeat(64)}`;
export const IMAGE: Digest = `sha256:${'2'.repeat(64)}`;

/** Images by normalized name; `asked` records what was resolved, as `name platform`. */
export function fakeResolver(
  images: Readonly<Record<string, ContainerConfig | ImageConfig>> = {},
): Resolver & { readonly asked: string[] } {
  const asked: string[] = [];
  return {
    asked,
    async resolveImage(ref, platform, kind, location) {
      asked.push(`${ref} ${platform.os}/${platform.architecture}`);
      const found = Object.hasOwn(images, ref) ? images[ref] : undefined;
      if (found === undefined && !/:latest$|^oci-layout:/.test(ref)) {
        throw new BuildError({ code: 'image-not-found', message: `${kind} ${ref} is not there`, location });
      }
      const config: ImageConfig =
        found !== undefined && 'os' in found
          ? found
          : {
              ...platform,
              rootfs: { type: 'layers', diff_ids: [LAYER] },
              history: [{ created_by: 'base' }],
              config: found ?? {},
            };
      return { ref: ref.includes('@') ? ref : `${ref}@${IMAGE}`, digest: IMAGE, config };
    },
  };
}

/** Converts with defaults: linux/amd64, a directory as context. */
export async function convert(
  dockerfile: string,
  options: Partial<FrontendOptions> & { readonly resolver?: Resolver } = {},
): Promise<FrontendResult> {
  const { resolver = fakeResolver(), ...given } = options;
  return dockerfileToLlb(
    parseDockerfile(dockerfile),
    {
      buildArgs: {},
      labels: {},
      targetPlatform: AMD64,
      buildPlatform: AMD64,
      contexts: {},
      context: { kind: 'local', sourceName: 'context', excludes: [] },
      network: 'sandbox',
      noCache: false,
      extraHosts: [],
      ulimits: [],
      pull: false,
      ...given,
    },
    resolver,
  );
}

/** The BuildError that a conversion ends with. */
export async function failure(dockerfile: string, options: Parameters<typeof convert>[1] = {}): Promise<BuildError> {
  try {
    await convert(dockerfile, options);
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('the conversion succeeded');
}

export function names(result: FrontendResult): readonly (string | undefined)[] {
  return result.definition.vertices.map(({ metadata }) => metadata.name);
}

/** Texts of the history entries that instructions made; those without a layer in parentheses. */
export function history(result: FrontendResult): readonly string[] {
  return (result.config.history ?? [])
    .filter((entry) => entry.comment === 'buildkit.dockerfile.v0')
    .map((entry) => (entry.empty_layer === true ? `(${entry.created_by ?? ''})` : (entry.created_by ?? '')));
}

/** The op of the vertex whose name ends so. */
export function opNamed<K extends Op['kind']>(
  result: FrontendResult,
  kind: K,
  ending: string,
): Extract<Op, { readonly kind: K }> {
  const { op } = vertexNamed(result, ending);
  if (op.kind !== kind) throw new Error(`${ending} is a ${op.kind} op`);
  return op as Extract<Op, { readonly kind: K }>;
}

export function vertexNamed(result: FrontendResult, ending: string): Vertex {
  const found = result.definition.vertices.find(({ metadata }) => metadata.name?.endsWith(ending));
  if (found === undefined) throw new Error(`no vertex ${ending} among ${names(result).join(', ')}`);
  return found;
}
