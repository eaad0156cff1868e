import type { Pins } from '../../source/index.ts';

/** What names of things from elsewhere meant to a build. */
export interface SeenSources {
  /** URL to the sha256 of its content. */
  readonly urls: ReadonlyMap<string, string>;
  /** `REMOTE#REF` to the commit. */
  readonly commits: ReadonlyMap<string, string>;
}

/** Remembers what names turned out to mean; what they must mean is for `pins`, where there are any. */
export function watchSources(pins: Pins | undefined): { readonly pins: Pins; readonly seen: SeenSources } {
  const urls = new Map<string, string>();
  const commits = new Map<string, string>();
  return {
    seen: { urls, commits },
    pins: {
      find: (kind, name) => pins?.find(kind, name),
      saw(kind, name, value) {
        if (kind === 'url') urls.set(name, value);
        if (kind === 'git') commits.set(name, value);
        pins?.saw(kind, name, value);
      },
    },
  };
}
