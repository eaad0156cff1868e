import type { Sources, SourcesOptions } from './types.ts';

export function createSources(options: SourcesOptions): Sources {
  throw new Error(`not yet: ${Object.keys(options).join()}`);
}
