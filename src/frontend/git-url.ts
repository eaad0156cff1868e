/**
 * Git sources as ADD and contexts name them (BuildKit: util/gitutil/git_url.go, dockerfile/dfgitutil/git_ref.go):
 * `https://host/repo.git#ref:subdir`, `git@host:repo.git`, `ssh://`, `git://`, and queries as `?tag=v1&subdir=x`.
 */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';

export interface GitUrl {
  readonly scheme: 'http' | 'https' | 'ssh' | 'git';
  readonly host: string;
  readonly path: string;
  /** What to hand to git: without fragment and query. */
  readonly remote: string;
  /** Branch, tag or commit. */
  readonly ref: string | undefined;
  readonly subdir: string | undefined;
  /** Commit that it must be. */
  readonly checksum: string | undefined;
  readonly keepGitDir: boolean | undefined;
  readonly submodules: boolean | undefined;
  /** Times of files: those of the checkout, BuildKit's default, or the commit's. */
  readonly mtime: 'checkout' | 'commit' | undefined;
  readonly fetchByCommit: boolean | undefined;
}

const PROTOCOL = /^([a-zA-Z0-9]+):\/\//;
/** `user@host:path#fragment`; the user makes it one. */
const SCP = /^([a-zA-Z0-9-_]+)@([a-zA-Z0-9-.]+):(.*?)(?:\?(.*?))?(?:#(.*))?$/;

/**
 * Undefined for what is no git URL: a path, or an http URL that does not end in `.git`.
 *
 * @throws BuildError `dockerfile` for a git URL with a query that means nothing.
 */
export function parseGitUrl(text: string, location: SourceLocation | undefined): GitUrl | undefined {
  const protocol = PROTOCOL.exec(text)?.[1]?.toLowerCase();
  if (protocol === undefined) {
    const [, user, host, path, query, fragment] = SCP.exec(text) ?? [];
    if (user === undefined || host === undefined || path === undefined) return undefined;
    return complete({ scheme: 'ssh', host, path, remote: `${user}@${host}:${path}` }, fragment, query, location);
  }
  if (protocol !== 'http' && protocol !== 'https' && protocol !== 'ssh' && protocol !== 'git') return undefined;
  const hash = text.indexOf('#');
  const fragment = hash === -1 ? undefined : decode(text.slice(hash + 1));
  const withoutFragment = hash === -1 ? text : text.slice(0, hash);
  const question = withoutFragment.indexOf('?');
  const query = question === -1 ? undefined : withoutFragment.slice(question + 1);
  const remote = question === -1 ? withoutFragment : withoutFragment.slice(0, question);
  const [, authority = '', path = ''] = /^[^:]+:\/\/([^/]*)(\/.*)?$/.exec(remote) ?? [];
  if ((protocol === 'http' || protocol === 'https') && !path.endsWith('.git')) return undefined;
  const host = authority.slice(authority.lastIndexOf('@') + 1);
  return complete({ scheme: protocol, host, path, remote }, fragment, query, location);
}

/** As {@link parseGitUrl}, for build contexts: `github.com/user/repository` is one too, as ever (dfgitutil/git_ref.go). */
export function parseGitContext(text: string): GitUrl | undefined {
  if (!text.startsWith('github.com/')) return parseGitUrl(text, undefined);
  const [, repository = '', rest = ''] = /^([^?#]*?)(?:\.git)?([?#].*)?$/s.exec(text) ?? [];
  return parseGitUrl(`https://${repository}.git${rest}`, undefined);
}

/** `git://host/path#ref:subdir`: the same for each protocol, so that they share a cache. */
export function gitIdentifier(url: GitUrl): string {
  const path = `/${url.path}`.replace(/\/{2,}/g, '/');
  const fragment = url.ref === undefined && url.subdir === undefined ? '' : `#${url.ref ?? ''}`;
  return `git://${url.host}${path}${fragment}${url.subdir === undefined ? '' : `:${url.subdir}`}`;
}

/** Attributes of the git source; `keepGitDir` and `checksum` as an instruction's flags may have them. */
export function gitAttributes(
  url: GitUrl,
  options: { readonly keepGitDir: boolean; readonly checksum: string | undefined },
): Readonly<Record<string, string>> {
  return {
    'git.fullurl': url.remote,
    'git.authtokensecret': 'GIT_AUTH_TOKEN',
    'git.authheadersecret': 'GIT_AUTH_HEADER',
    ...(options.keepGitDir ? { 'git.keepgitdir': 'true' } : {}),
    ...(url.scheme === 'ssh' ? { 'git.mountsshsock': 'default' } : {}),
    ...(options.checksum === undefined ? {} : { 'git.checksum': options.checksum }),
    ...(url.submodules === false ? { 'git.skipsubmodules': 'true' } : {}),
    ...(url.mtime === 'commit' ? { 'git.mtime': 'commit' } : {}),
    ...(url.fetchByCommit === true ? { 'git.fetchbycommit': 'true' } : {}),
  };
}

/** Queries that need no value. */
const SWITCHES: ReadonlySet<string> = new Set(['submodules', 'keep-git-dir', 'fetch-by-commit']);

type Address = Pick<GitUrl, 'scheme' | 'host' | 'path' | 'remote'>;

function complete(
  address: Address,
  fragment: string | undefined,
  query: string | undefined,
  location: SourceLocation | undefined,
): GitUrl {
  const fail = (reason: string): never => {
    throw new BuildError({ code: 'dockerfile', message: `git URL ${address.remote}: ${reason}`, location });
  };
  const colon = fragment?.indexOf(':') ?? -1;
  let ref = nonEmpty(colon === -1 ? fragment : fragment?.slice(0, colon));
  let subdir = nonEmpty(colon === -1 ? undefined : fragment?.slice(colon + 1));
  let checksum: string | undefined;
  let keepGitDir: boolean | undefined;
  let submodules: boolean | undefined;
  let mtime: GitUrl['mtime'];
  let fetchByCommit: boolean | undefined;
  const named = (name: string, value: string): void => {
    if (ref !== undefined && ref !== value) fail(`${name} ${value} conflicts with ref ${ref}`);
    ref = value;
  };
  const parameters = new URLSearchParams(query ?? '');
  for (const name of new Set(parameters.keys())) {
    const values = parameters.getAll(name);
    const value = values[0] ?? '';
    if (values.length > 1) fail(`query ${name} has several values`);
    if (value === '' && !SWITCHES.has(name)) fail(`query ${name} has no value`);
    switch (name) {
      case 'ref':
        named('ref', value);
        break;
      case 'tag':
        named('tag', value.startsWith('refs/tags/') ? value : `refs/tags/${value}`);
        break;
      case 'branch':
        named('branch', value.startsWith('refs/heads/') ? value : `refs/heads/${value}`);
        break;
      case 'subdir':
        if (subdir !== undefined && subdir !== value) fail(`subdir ${value} conflicts with ${subdir}`);
        subdir = value;
        break;
      case 'checksum':
      case 'commit':
        checksum = value;
        break;
      case 'keep-git-dir':
        keepGitDir = parseBool(value) ?? fail(`${value} is no value of ${name}`);
        break;
      case 'submodules':
        submodules = parseBool(value) ?? fail(`${value} is no value of ${name}`);
        break;
      case 'mtime':
        if (value !== 'checkout' && value !== 'commit') return fail(`${value} is no value of ${name}`);
        mtime = value;
        break;
      case 'fetch-by-commit':
        fetchByCommit = parseBool(value) ?? fail(`${value} is no value of ${name}`);
        break;
      default:
        fail(`query ${name} is not known`);
    }
  }
  return { ...address, ref: ref ?? checksum, subdir, checksum, keepGitDir, submodules, mtime, fetchByCommit };
}

function nonEmpty(text: string | undefined): string | undefined {
  return text === '' ? undefined : text;
}

/** As Go's strconv.ParseBool; a bare name is true. */
function parseBool(text: string): boolean | undefined {
  if (text === '' || /^(?:1|t|T|TRUE|true|True)$/.test(text)) return true;
  return /^(?:0|f|F|FALSE|false|False)$/.test(text) ? false : undefined;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}
