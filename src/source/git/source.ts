import { realpathSync, rmSync } from 'node:fs';
import { mkdir, readFile, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import type { Digest, FileEntry, LayerId, NodeEntry, TreePath } from '../../contracts/index.ts';
import { compilePatterns } from '../../pattern/index.ts';
import { offlineError } from '../../registry/index.ts';
import type { Store } from '../../store/index.ts';
import { encodePath } from '../../sys/path.ts';
import { createContextTree } from '../local/context-tree.ts';
import type { FileHasher } from '../local/hash-files.ts';
import { createStatCache } from '../local/stat-cache.ts';
import type { Env, SourcesOptions } from '../types.ts';
import { createGit } from './program.ts';
import type { Git } from './program.ts';

/** What a git vertex asks for (BuildKit: source/git/identifier.go). */
export interface GitSource {
  /** To hand to git. */
  readonly remote: string;
  /** Branch, tag, full ref or commit; undefined = the default branch. */
  readonly ref: string | undefined;
  /** `''` = the whole repository. */
  readonly subdir: string;
  /** Start of the commit that it must be. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean;
  readonly skipSubmodules: boolean;
  /** Id of the `--ssh` whose agent logs in. */
  readonly sshId: string | undefined;
}

export interface GitDeps {
  readonly store: Store;
  readonly hasher: FileHasher;
  readonly signal: AbortSignal;
  readonly env: Env;
  readonly secret: SourcesOptions['secret'];
  readonly ssh: SourcesOptions['ssh'];
  readonly offline?: boolean | undefined;
}

const COMMIT = /^[0-9a-f]{40}(?:[0-9a-f]{24})?$/;
const REMOTE = /^(?:(?:https?|ssh|git):\/\/[^-\s][^\s]*|[\w-]+@[\w.][\w.-]*:[^\s]+)$/;

/**
 * Reads identifier and attributes of a git vertex.
 *
 * @throws BuildError `usage` for what git could take for anything but a URL and a ref
 */
export function parseGitSource(identifier: string, attrs: Readonly<Record<string, string>>): GitSource {
  const hash = identifier.indexOf('#');
  const fragment = hash === -1 ? '' : identifier.slice(hash + 1);
  const colon = fragment.indexOf(':');
  const ref = colon === -1 ? fragment : fragment.slice(0, colon);
  const remote = attrs['git.fullurl'] ?? (hash === -1 ? identifier : identifier.slice(0, hash));
  // Nothing that begins like an option, and no transport that runs commands (`ext::`).
  if (!REMOTE.test(remote)) throw invalid(`${JSON.stringify(shown(remote))} is no git URL`);
  if (ref.startsWith('-') || /[\s~^:?*[\\]|\.\.|\p{Cc}/u.test(ref))
    throw invalid(`${JSON.stringify(ref)} is no git ref`);
  return {
    remote,
    ref: ref === '' ? undefined : ref,
    subdir: colon === -1 ? '' : fragment.slice(colon + 1).replace(/^\/+|\/+$/g, ''),
    checksum: attrs['git.checksum'],
    keepGitDir: attrs['git.keepgitdir'] === 'true',
    skipSubmodules: attrs['git.skipsubmodules'] === 'true',
    sshId: attrs['git.mountsshsock'],
  };
}

async function openGit(source: GitSource, deps: GitDeps): Promise<Git> {
  const agent = source.sshId === undefined ? undefined : deps.ssh?.(source.sshId);
  const env = agent === undefined ? deps.env : { ...deps.env, SSH_AUTH_SOCK: agent };
  return createGit(env, deps.signal, await authHeader(source, deps));
}

/** The commit that a source means now; asks the server unless it is named in full. */
export async function resolveCommit(source: GitSource, deps: GitDeps): Promise<string> {
  const commit = await findCommit(source, deps);
  if (source.checksum === undefined || commit.startsWith(source.checksum)) return commit;
  throw new BuildError({
    code: 'digest-mismatch',
    message: `${shown(source.remote)} is at commit ${commit}, wanted ${source.checksum}`,
    hint: 'the branch or tag has moved, or the checksum is that of another',
  });
}

/** Everything that makes a difference to the files; not the server, so that mirrors share. */
export function gitKey(commit: string, { subdir, keepGitDir, skipSubmodules, ref }: GitSource): string {
  return `git ${JSON.stringify([commit, subdir, keepGitDir ? (ref ?? '') : false, skipSubmodules])}`;
}

/** Named in full, or as a server says; without a network, as it said before. */
async function findCommit(source: GitSource, deps: GitDeps): Promise<string> {
  const { remote, ref } = source;
  if (ref !== undefined && COMMIT.test(ref)) return ref;
  const fact = `git-ref ${remote}#${ref ?? ''}`;
  if (isOffline(source, deps)) {
    const known = deps.store.readFact(fact);
    if (known !== undefined) return known;
    throw offlineError(`${shown(remote)}#${ref ?? 'HEAD'}`, 'build once with a network, which keeps it');
  }
  const commit = await askForCommit(source, deps);
  deps.store.writeFact(fact, commit);
  return commit;
}

function isOffline({ remote }: GitSource, { offline }: GitDeps): boolean {
  return offline === true && !/^(?:file:\/\/|\/)/.test(remote);
}

async function askForCommit(source: GitSource, deps: GitDeps): Promise<string> {
  const { remote, ref } = source;
  const git = await openGit(source, deps);
  const asked = ref ?? 'HEAD';
  const output = await git.run('/', ['ls-remote', '--', remote, asked, `${asked}^{}`], (lines) =>
    unreachable(remote, lines),
  );
  const found = new Map<string, string>();
  for (const line of output.split('\n')) {
    const [commit, name] = line.split('\t');
    if (commit !== undefined && name !== undefined && COMMIT.test(commit)) found.set(name, commit);
  }
  // As git checkout chooses: a branch before a tag of the same name, the commit of an annotated tag.
  const bare = asked.replace(/^refs\//, '');
  const names = [
    asked,
    `refs/heads/${bare}`,
    `refs/tags/${bare}^{}`,
    `refs/tags/${bare}`,
    `refs/${bare}^{}`,
    `refs/${bare}`,
  ];
  const wanted = asked.startsWith('refs/tags/') ? [`${asked}^{}`, ...names] : names;
  for (const name of wanted) {
    const commit = found.get(name);
    if (commit !== undefined) return commit;
  }
  throw new BuildError({
    code: 'source-missing',
    message: `${shown(remote)} has no branch or tag ${asked}`,
    hint: ref !== undefined && /^[0-9a-f]{7,39}$/.test(ref) ? 'write a commit with all of its digits' : undefined,
  });
}

/** Checks a commit out and makes a layer of it: its tree, and the bytes in the store's file area. */
export async function gitLayer(source: GitSource, commit: string, deps: GitDeps): Promise<LayerId> {
  if (isOffline(source, deps)) {
    throw offlineError(`commit ${commit} of ${shown(source.remote)}`, 'build once with a network, which keeps it');
  }
  const directory = deps.store.tempPath('-git');
  try {
    await mkdir(directory, { mode: 0o700 });
    const git = await openGit(source, deps);
    await fetchCommit(git, directory, source, commit);
    const time = await checkOut(git, directory, source, commit);
    if (source.keepGitDir) await tidyGitDir(git, directory, source);
    return await layerOf(await confinedSubdir(directory, source), source.keepGitDir, time, deps);
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

async function fetchCommit(git: Git, directory: string, { remote, ref }: GitSource, commit: string): Promise<void> {
  const fail = (lines: readonly string[]): BuildError => unreachable(remote, lines);
  await git.run(directory, ['init', '--quiet'], fail);
  // In the repository's own list, for submodules with relative URLs.
  await git.run(directory, ['remote', 'add', '--', 'origin', remote], fail);
  const shallow = ['fetch', '--quiet', '--depth=1', '--no-tags', 'origin'];
  // Not every server lets a commit be fetched that no ref points to, nor all of them a commit by name.
  const tries = [
    [...shallow, commit],
    ...(ref === undefined ? [] : [[...shallow, ref]]),
    ['fetch', '--quiet', '--tags', 'origin'],
  ];
  let failure: unknown;
  for (const args of tries) {
    try {
      await git.run(directory, args, fail);
      await git.run(directory, ['cat-file', '-e', `${commit}^{commit}`], fail);
      return;
    } catch (error) {
      if (!(error instanceof BuildError) || error.code === 'cancelled' || error.code === 'host') throw error;
      failure = error;
    }
  }
  throw failure instanceof Error ? failure : unreachable(remote, []);
}

/** @returns The commit's time, seconds since the epoch. */
async function checkOut(git: Git, directory: string, source: GitSource, commit: string): Promise<number> {
  const fail = (lines: readonly string[]): BuildError =>
    new BuildError({
      code: 'context',
      message: `commit ${commit} of ${shown(source.remote)} cannot be checked out`,
      detail: lines,
    });
  await git.run(directory, ['checkout', '--quiet', '--force', '--detach', commit, '--'], fail);
  if (!source.skipSubmodules && (await isThere(join(directory, '.gitmodules')))) {
    await git.run(
      directory,
      ['submodule', '--quiet', 'update', '--init', '--recursive', '--depth=1'],
      (lines) =>
        new BuildError({
          code: 'context',
          message: `a submodule of ${shown(source.remote)} cannot be fetched`,
          detail: lines,
        }),
    );
  }
  return Number(await git.run(directory, ['show', '--no-patch', '--format=%ct', commit, '--'], fail));
}

/** Gives a kept `.git` the branch or tag that was asked for, as `git describe` wants it; takes what differs or would run. */
async function tidyGitDir(git: Git, directory: string, { remote, ref }: GitSource): Promise<void> {
  if (ref !== undefined && !COMMIT.test(ref)) {
    for (const name of ref.startsWith('refs/') ? [ref] : [`refs/heads/${ref}`, `refs/tags/${ref}`]) {
      const fetch = ['fetch', '--quiet', '--depth=1', '--no-tags', 'origin', `+${name}:${name}`];
      await git
        .run(directory, fetch, (lines) => unreachable(remote, lines))
        .catch((error: unknown) => {
          // One of the two is not there.
          if (!(error instanceof BuildError) || error.code === 'cancelled') throw error;
        });
    }
  }
  for (const name of ['FETCH_HEAD', 'ORIG_HEAD', 'logs', 'hooks'])
    rmSync(join(directory, '.git', name), { recursive: true, force: true });
}

/** A link in the repository must not lead a subdirectory out of it. */
async function confinedSubdir(directory: string, { remote, subdir }: GitSource): Promise<string> {
  const root = realpathSync(directory);
  if (subdir === '') return root;
  try {
    const inside = realpathSync(join(root, subdir));
    if ((inside === root || inside.startsWith(`${root}/`)) && (await stat(inside)).isDirectory()) return inside;
  } catch {
    // not there
  }
  throw new BuildError({
    code: 'source-missing',
    message: `${shown(remote)} has no directory ${JSON.stringify(subdir)}`,
  });
}

/** Modes are git's two, times the commit's, so that equal commits are equal layers. */
async function layerOf(directory: string, keepGitDir: boolean, time: number, deps: GitDeps): Promise<LayerId> {
  const { store, hasher, signal } = deps;
  const statCache = createStatCache();
  const tree = createContextTree({
    context: { directory },
    matcher: compilePatterns(keepGitDir ? [] : ['**/.git']),
    loadStatCache: async () => statCache,
    hasher,
    signal,
  });
  const entries = [...(await tree.walk(''))];
  const files = entries.flatMap(([path, entry]) => (entry.type === 'file' ? [path] : []));
  const digests = await tree.digests(files);
  const digestOf = new Map(files.map((path, i) => [path, digests[i]]));
  const made = new Map<TreePath, NodeEntry>();
  for (const [path, entry] of entries) {
    const digest = digestOf.get(path);
    if (digest !== undefined) await keepFile(store, `${directory}/${path}`, digest);
    made.set(path, normalized(entry, time, digest));
  }
  const id = store.newLayer();
  await store.writeTree(id, made);
  store.saveLayer(id, { size: entries.reduce((sum, [, entry]) => sum + (entry.type === 'file' ? entry.size : 0), 0) });
  return id;
}

function normalized(entry: NodeEntry, time: number, digest: Digest | undefined): NodeEntry {
  const meta = { uid: 0, gid: 0, mtime: time, mtimeNsec: 0, xattrs: undefined };
  if (entry.type === 'file') {
    const file: FileEntry = { ...entry, ...meta, mode: (entry.mode & 0o100) === 0 ? 0o644 : 0o755, digest };
    return file;
  }
  return { ...entry, ...meta, mode: entry.type === 'directory' ? 0o755 : 0o777 };
}

async function keepFile(store: Store, path: string, digest: Digest): Promise<void> {
  if (store.hasFile(digest)) return;
  const writer = await store.createFile();
  try {
    await writer.write(await readFile(encodePath(path)));
    await writer.commit({ digest });
  } catch (error) {
    await writer.abort();
    throw error;
  }
}

/** The secrets that BuildKit knows: a token for GitHub's and GitLab's way, or a whole header. */
async function authHeader({ remote }: GitSource, { secret }: GitDeps): Promise<string | undefined> {
  if (secret === undefined || !/^https?:/.test(remote)) return undefined;
  const { host } = new URL(remote);
  const text = async (id: string): Promise<string | undefined> => {
    const value = (await secret(`${id}.${host}`)) ?? (await secret(id));
    return value === undefined ? undefined : Buffer.from(value).toString('utf8').trim();
  };
  const header = await text('GIT_AUTH_HEADER');
  if (header !== undefined) return `Authorization: ${header}`;
  const token = await text('GIT_AUTH_TOKEN');
  return token === undefined
    ? undefined
    : `Authorization: Basic ${Buffer.from(`x-access-token:${token}`).toString('base64')}`;
}

async function isThere(path: string): Promise<boolean> {
  return stat(path).then(
    () => true,
    () => false,
  );
}

function unreachable(remote: string, lines: readonly string[]): BuildError {
  const isDenied = lines.some((line) =>
    /authentication|terminal prompts disabled|permission denied|could not read/i.test(line),
  );
  return new BuildError({
    code: isDenied ? 'auth' : 'registry',
    message: isDenied ? `${shown(remote)} wants other credentials` : `${shown(remote)} cannot be fetched`,
    hint: isDenied ? 'check the URL, your ssh keys or git credentials, or give --secret id=GIT_AUTH_TOKEN' : undefined,
    detail: lines.map((line) => line.replaceAll(remote, shown(remote))),
  });
}

/** Without a password. */
function shown(remote: string): string {
  return remote.replace(/^([a-z]+:\/\/)[^/@]*@/, '$1');
}

function invalid(message: string): BuildError {
  return new BuildError({ code: 'usage', message, hint: 'as in https://host/repository.git#branch:directory' });
}
