import { resolve } from 'node:path';
import type { Exporter } from '../contracts/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import type { OutputSpec } from './output-spec.ts';

export interface ExporterSurroundings {
  readonly store: Store;
  readonly registry: Registry;
  readonly stdout: NodeJS.WritableStream;
  /** From `-t`, as written. */
  readonly names: readonly string[];
  /** Base of relative destinations; absent = the process's. */
  readonly cwd?: string | undefined;
}

/**
 * The exporter of a destination. What can be known to be wrong before the build is said now: names that are none, a
 * destination that is not there or not ours to write.
 *
 * @throws BuildError `usage`, `export`, `permission`.
 */
export async function createExporter(spec: OutputSpec, surroundings: ExporterSurroundings): Promise<Exporter> {
  const { cwd = process.cwd(), ...rest } = surroundings;
  const deps: ExporterDeps = { ...rest, resolve: (path) => resolve(cwd, path) };
  switch (spec.type) {
    case 'image':
      return (await import('./image-exporter.ts')).imageExporter(spec, deps);
    case 'oci':
    case 'docker':
      return (await import('./archive-exporter.ts')).archiveExporter(spec, deps);
    case 'local':
      return (await import('./local-exporter.ts')).localExporter(spec, deps);
    case 'tar':
      return (await import('./tar-exporter.ts')).tarExporter(spec, deps);
    case 'cacheonly':
      return { name: 'keeping the result in the cache', export: async () => ({}) };
  }
}
