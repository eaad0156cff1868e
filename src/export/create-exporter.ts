import { resolve } from 'node:path';
import type { ExportInput, Exporter } from '../contracts/index.ts';
import { normalizePlatform, platformToString } from '../image/platform.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import { checkAnnotations } from './annotations.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import type { OutputSpec } from './output-spec.ts';

export interface ExporterSurroundings {
  readonly store: Store;
  readonly registry: Registry;
  readonly stdout: NodeJS.WritableStream;
  /** From `-t`, as written. */
  readonly names: readonly string[];
  /** Those that are built; absent = one, whichever. */
  readonly platforms?: readonly ExportInput['platform'][] | undefined;
  /** Something is said of the images beside them, so that there is an index in any case. */
  readonly attests?: boolean | undefined;
  /** For DOCKER_HOST and its like; absent = the process's. */
  readonly env?: ExporterDeps['env'] | undefined;
  /** Base of relative destinations; absent = the process's. */
  readonly cwd?: string | undefined;
}

/**
 * The exporter of a destination. What can be known to be wrong before the build is said now: names that are none, a
 * destination that is not there or not ours to write, a form that cannot hold what is built.
 *
 * @throws BuildError `usage`, `export`, `permission`.
 */
export async function createExporter(spec: OutputSpec, surroundings: ExporterSurroundings): Promise<Exporter> {
  const { cwd = process.cwd(), env = process.env, attests = false, ...rest } = surroundings;
  const platforms = (rest.platforms ?? []).map((platform) => platformToString(normalizePlatform(platform)));
  const deps: ExporterDeps = { ...rest, env, platforms, resolve: (path) => resolve(cwd, path) };
  if ('annotations' in spec)
    checkAnnotations(spec.annotations, {
      isIndex: platforms.length > 1 || (attests && spec.attestationStorage !== 'referrers'),
      platforms,
    });
  switch (spec.type) {
    case 'image':
      return (await import('./image-exporter.ts')).imageExporter(spec, deps);
    case 'oci':
    case 'docker':
      return await (await import('./archive-exporter.ts')).archiveExporter(spec, deps);
    case 'local':
      return (await import('./local-exporter.ts')).localExporter(spec, deps);
    case 'tar':
      return (await import('./tar-exporter.ts')).tarExporter(spec, deps);
    case 'cacheonly':
      return { name: 'keeping the result in the cache', export: async () => ({}) };
  }
}
