import type { Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';

/** What exporters use. */
export interface ExporterDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly stdout: NodeJS.WritableStream;
  /** From `-t`, as written. */
  readonly names: readonly string[];
  /** Normalized names of those that are built, as `linux/arm64`. */
  readonly platforms: readonly string[];
  /** For DOCKER_HOST and its like. */
  readonly env: Readonly<Record<string, string | undefined>>;
  /** A destination as an absolute path. */
  resolve(path: string): string;
}
