import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';
import { defaultRoot } from '../store/index.ts';
import { chooseBuilder, EMBEDDED } from './builders/builders.ts';
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
    engine: engineText(env),
    runtime: runtime ?? 'none (install crun)',
    root: options.root ?? defaultRoot(env, process.getuid?.() ?? 0),
  };
}

/** Which engine a build would use; a wrong setting is the build's to complain about. */
function engineText(env: Readonly<Record<string, string | undefined>>): string {
  try {
    const builder = chooseBuilder(undefined, env);
    if (builder === undefined) return EMBEDDED;
    const urls = builder.nodes.map(({ url }) => url).filter((url) => url !== builder.name);
    return `buildkit (${[builder.name, ...urls].join(' ')})`;
  } catch (error) {
    return `none: ${error instanceof Error ? error.message : ''}`;
  }
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
