import { resolve } from 'node:path';
import type { Exporter } from '../contracts/index.ts';
import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import type { OutputSpec } from './output.ts';

export interface ExporterDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly stdout: NodeJS.WritableStream;
  /** From `-t`. */
  readonly names: readonly string[];
  /** Base of relative destinations. */
  readonly cwd: string;
}

/** The exporter of a destination; what it needs is loaded now. */
export async function createExporter(spec: OutputSpec, deps: ExporterDeps): Promise<Exporter> {
  switch (spec.type) {
    case 'image':
      return (await import('./store-image.ts')).imageExporter(spec, deps);
    case 'oci':
    case 'docker':
      return (await import('./archive.ts')).archiveExporter({ ...spec, dest: absolute(spec.dest, deps) }, deps);
    case 'local':
      return (await import('./local.ts')).localExporter(absolute(spec.dest, deps));
    case 'tar':
      return (await import('./root-tar.ts')).rootTarExporter(absolute(spec.dest, deps), deps);
    case 'cacheonly':
      return { name: 'keeping the result in the cache', export: async () => ({}) };
  }
}

function absolute(dest: string, { cwd }: ExporterDeps): string {
  return dest === '-' ? dest : resolve(cwd, dest);
}
