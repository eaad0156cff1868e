import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defaultRoot } from '../store/index.ts';
import type { HostOptions } from './options.ts';

/** Kept equal to package.json by a test. */
export const VERSION = '0.1.0';

export interface VersionInfo {
  readonly version: string;
  readonly node: string;
  readonly engine: string;
  /** The OCI runtime that RUN would use. */
  readonly runtime: string;
  readonly root: string;
}

export async function versionInfo(options: HostOptions = {}): Promise<VersionInfo> {
  const env = options.env ?? process.env;
  const runtime = ['crun', 'runc'].map((name) => which(name, env['PATH'] ?? '')).find((path) => path !== undefined);
  return {
    version: VERSION,
    node: process.version,
    engine: 'embedded',
    runtime: runtime ?? 'none (install crun)',
    root: options.root ?? defaultRoot(env, process.getuid?.() ?? 0),
  };
}

function which(name: string, path: string): string | undefined {
  for (const directory of path.split(delimiter)) {
    const candidate = join(directory, name);
    try {
      accessSync(candidate, constants.X_OK);
      return candidate;
    } catch {
      // Not in this one.
    }
  }
  return undefined;
}
