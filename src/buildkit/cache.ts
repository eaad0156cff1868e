/** `--cache-from` and `--cache-to`: words for the daemon, and local directories that the session serves to it. */
import { readFileSync } from 'node:fs';
import { join, resolve } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import { parseCsv } from '../export/index.ts';
import { addToLayout, REF_NAME } from './layout.ts';
import type { LayoutEntry } from './layout.ts';
import type { ContentStore } from './session/content.ts';

/** BuildKit's entry: a type and its attributes. */
export interface CacheEntry {
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
}

export interface CacheOptions {
  readonly imports: readonly CacheEntry[];
  readonly exports: readonly CacheEntry[];
  /** Directories of `type=local`, by the id under which the daemon asks for them. */
  readonly stores: ReadonlyMap<string, ContentStore>;
}

/** Of the daemon's exporters and importers; others it may know, and says so if not. */
const LOCAL = 'local';

/**
 * `type=registry,ref=..` and its like, or a bare reference for a registry (buildx: util/buildflags/cache.go). The
 * credentials of a cloud come from the environment where the words leave them out.
 *
 * @throws BuildError `usage`, `image-not-found` for a local cache that is not there
 */
export function parseCacheOptions(
  from: readonly string[],
  to: readonly string[],
  { env, cwd }: { readonly env: Readonly<Record<string, string | undefined>>; readonly cwd: string },
): CacheOptions {
  const stores = new Map<string, ContentStore>();
  const imports = from.map((word) => {
    const entry = withCredentials(parseEntry(word, '--cache-from'), env);
    if (entry.type !== LOCAL) return entry;
    const src = resolve(cwd, entry.attrs['src'] ?? need(word, 'src'));
    stores.set(`local:${src}`, { directory: src, writable: false });
    return {
      type: LOCAL,
      attrs: { ...entry.attrs, src, digest: entry.attrs['digest'] ?? findCache(src, entry.attrs['tag']) },
    };
  });
  const exports = to.map((word) => {
    const entry = withCredentials(parseEntry(word, '--cache-to'), env);
    if (entry.type !== LOCAL) return entry;
    const dest = resolve(cwd, entry.attrs['dest'] ?? need(word, 'dest'));
    stores.set(`local:${dest}`, { directory: dest, writable: true });
    return { type: LOCAL, attrs: { ...entry.attrs, dest } };
  });
  return { imports, exports, stores };
}

/** After the build: makes the manifest that the daemon wrote the cache of its tag. */
export function finishLocalCaches({ exports }: CacheOptions, response: Readonly<Record<string, string>>): void {
  const manifest = response['cache.manifest'];
  if (manifest === undefined) return;
  for (const { type, attrs } of exports) {
    const dest = attrs['dest'];
    if (type === LOCAL && dest !== undefined)
      addToLayout(dest, JSON.parse(manifest) as LayoutEntry, [attrs['tag'] ?? 'latest']);
  }
}

function findCache(directory: string, tag = 'latest'): string {
  let manifests: readonly LayoutEntry[];
  try {
    manifests = (
      JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as { manifests: readonly LayoutEntry[] }
    ).manifests;
  } catch (error) {
    throw new BuildError({
      code: 'image-not-found',
      message: `${directory} holds no build cache`,
      hint: `write one with --cache-to type=local,dest=${directory}`,
      cause: error,
    });
  }
  const found = manifests.find(({ annotations }) => annotations?.[REF_NAME] === tag) ?? manifests[0];
  if (found === undefined)
    throw new BuildError({ code: 'image-not-found', message: `the cache in ${directory} is empty` });
  return found.digest;
}

function parseEntry(word: string, flag: string): CacheEntry {
  if (!word.includes('=')) return { type: 'registry', attrs: { ref: word } };
  const attrs: Record<string, string> = {};
  for (const field of parseCsv(word)) {
    const at = field.indexOf('=');
    if (at <= 0)
      throw new BuildError({
        code: 'usage',
        message: `${flag} ${word}: "${field}" is not KEY=VALUE`,
        hint: `write it as ${flag} type=registry,ref=NAME`,
      });
    attrs[field.slice(0, at).trim().toLowerCase()] = field.slice(at + 1);
  }
  const { type, ...rest } = attrs;
  if (type === undefined)
    throw new BuildError({
      code: 'usage',
      message: `${flag} ${word} has no type`,
      hint: `write it as ${flag} type=registry,ref=NAME`,
    });
  return { type, attrs: rest };
}

function need(word: string, key: string): never {
  throw new BuildError({ code: 'usage', message: `the cache ${word} needs ${key}=DIRECTORY` });
}

/** As buildx: GitHub's and Amazon's tokens are where their runners put them. */
function withCredentials(entry: CacheEntry, env: Readonly<Record<string, string | undefined>>): CacheEntry {
  const variables: Readonly<Record<string, Readonly<Record<string, string>>>> = {
    gha: {
      token: 'ACTIONS_RUNTIME_TOKEN',
      url: 'ACTIONS_CACHE_URL',
      url_v2: 'ACTIONS_RESULTS_URL',
    },
    s3: {
      access_key_id: 'AWS_ACCESS_KEY_ID',
      secret_access_key: 'AWS_SECRET_ACCESS_KEY',
      session_token: 'AWS_SESSION_TOKEN',
    },
  };
  const found = Object.entries(variables[entry.type] ?? {}).flatMap(([key, name]): [string, string][] => {
    const value = env[name];
    return value === undefined || value === '' || key in entry.attrs ? [] : [[key, value]];
  });
  return { type: entry.type, attrs: { ...entry.attrs, ...Object.fromEntries(found) } };
}
