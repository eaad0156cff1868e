/** Named contexts (`--build-context`): which name they take the place of, and what they are as a source. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import { familiarString, parseReference, referenceToString, repositoryName } from '../image/reference.ts';
import type { ImageConfig } from '../image/types.ts';
import { vertex } from '../llb/index.ts';
import type { CopyAction, Platform, VertexInput } from '../llb/index.ts';
import { buildArg } from './global-args.ts';
import { gitAttributes, gitIdentifier, parseGitContext } from './git-url.ts';
import { goJson } from './go-format.ts';
import { formatPlatform, normalizePlatform } from './platform.ts';
import type { FrontendOptions, NamedContext, Resolver } from './types.ts';

/** A context under the key that it was found by. */
export interface FoundContext {
  readonly key: string;
  readonly context: NamedContext;
}

/**
 * The context that stands for a stage or image name: by `name::platform` first, then by the familiar name without
 * `:latest`. `scratch` and `context` are never replaced (dockerui/namedcontext.go).
 *
 * @throws BuildError `usage` when the name is no reference.
 */
export function findContext(name: string, platform: Platform, options: FrontendOptions): FoundContext | undefined {
  if (/^(?:scratch|context)$/i.test(name)) return undefined;
  const reference = parseReference(name);
  if (Object.keys(options.contexts).length === 0) return undefined;
  const familiar = familiarString(reference).replace(/:latest$/, '');
  for (const key of [`${familiar}::${formatPlatform(normalizePlatform(platform))}`, familiar]) {
    for (const spelling of [key, key.toLowerCase()]) {
      const context = Object.hasOwn(options.contexts, spelling) ? options.contexts[spelling] : undefined;
      if (context !== undefined) return { key: spelling, context };
    }
  }
  return undefined;
}

/** A context as the base of a stage; `image` where it has a config. */
export interface ContextBase {
  readonly root: VertexInput | undefined;
  readonly image: ImageConfig | undefined;
}

export async function resolveContext(
  { key, context }: FoundContext,
  platform: Platform,
  options: FrontendOptions,
  resolver: Resolver,
  location: SourceLocation | undefined,
): Promise<ContextBase> {
  switch (context.kind) {
    case 'docker-image': {
      if (context.ref === 'scratch') return { root: undefined, image: undefined };
      const name = parseReference(context.ref);
      const resolved = await resolver.resolveImage(referenceToString(name), platform, 'docker-image', location);
      const source = vertex(
        { kind: 'source', identifier: `docker-image://${resolved.ref}`, attrs: imageAttributes(options) },
        [],
        { platform, metadata: { name: `[context ${key}] ${context.ref}`, location } },
      );
      return { root: { vertex: source, index: 0 }, image: resolved.config };
    }
    case 'oci-layout': {
      const resolved = await resolver.resolveImage(`oci-layout://${context.ref}`, platform, 'oci-layout', location);
      const store = context.ref.replace(/@sha256:[0-9a-f]{64}$/, '').replace(/:[^/:]*$/, '');
      const dummy = repositoryName(parseReference(key.replace(/::.*$/, '')));
      const source = vertex(
        {
          kind: 'source',
          identifier: `oci-layout://${dummy}@${resolved.digest}`,
          attrs: { 'oci.store': store },
        },
        [],
        { platform, metadata: { name: `[context ${key}] OCI load from client`, location } },
      );
      return { root: { vertex: source, index: 0 }, image: resolved.config };
    }
    default:
      return { root: contextSource(context, key), image: undefined };
  }
}

/** `--pull`, as an image source carries it. */
export function imageAttributes(options: FrontendOptions): Readonly<Record<string, string>> {
  return options.pull ? { 'image.resolvemode': 'pull' } : {};
}

/** The main context: a directory, a repository, the contents of an archive, or a file called `context`. */
export function mainContext(options: Pick<FrontendOptions, 'context' | 'buildArgs'>): VertexInput {
  const { context } = options;
  if (context.kind === 'local') {
    return localSource(context, context.sourceName, '[internal] load build context');
  }
  if (context.kind === 'git') {
    const keepGitDir = parseBool(buildArg(options, 'BUILDKIT_CONTEXT_KEEP_GIT_DIR') ?? '');
    return gitSource(context.url, `[internal] load git source ${context.url}`, keepGitDir);
  }
  if (context.kind === 'http') {
    const archive = httpSource(context.url, '[internal] load remote build context', { 'http.filename': 'context' });
    if (context.isArchive !== true) return archive;
    return copied(archive, '/context', { isArchive: true, name: '[internal] extract remote build context' });
  }
  throw new BuildError({
    code: 'usage',
    message: `an image cannot be the build context`,
    hint: 'name it with --build-context NAME=docker-image://IMAGE and use COPY --from=NAME',
  });
}

/**
 * As the result of a build: a directory of the user (`FROM name` and nothing else) is no layer, a copy of it is.
 */
export function settled(result: VertexInput | undefined): VertexInput | undefined {
  const op = result?.vertex.op;
  if (result === undefined || op?.kind !== 'source' || !op.identifier.startsWith('local://')) return result;
  return copied(result, '/', { isArchive: false, name: result.vertex.metadata.name });
}

function copied(
  from: VertexInput,
  src: string,
  { isArchive, name }: { readonly isArchive: boolean; readonly name: string | undefined },
): VertexInput {
  const action: CopyAction = {
    kind: 'copy',
    src,
    dest: '/',
    mode: -1,
    followSymlink: false,
    dirCopyContents: !isArchive,
    attemptUnpackDockerCompatibility: isArchive,
    createDestPath: false,
    allowWildcard: false,
    allowEmptyWildcard: false,
    timestamp: -1n,
    includePatterns: [],
    excludePatterns: [],
    alwaysReplaceExistingDestPaths: false,
    requiredPaths: [],
  };
  const actions = [{ input: -1, secondaryInput: 0, output: 0, action }];
  return { vertex: vertex({ kind: 'file', actions }, [from], { metadata: { name } }), index: 0 };
}

function contextSource(
  context: Exclude<NamedContext, { readonly kind: 'docker-image' | 'oci-layout' }>,
  key: string,
): VertexInput {
  switch (context.kind) {
    case 'local':
      return localSource(context, `context:${key}-`, `[context ${key}] load from client`);
    case 'git':
      return gitSource(context.url, `[context ${key}] load git source ${context.url}`, false);
    case 'http':
      return httpSource(context.url, `[context ${key}] ${context.url}`);
  }
}

/** What is read of the directory (`local.followpaths`) is added once the whole graph is known: build-context.ts. */
function localSource(
  context: Extract<NamedContext, { readonly kind: 'local' }>,
  sharedKeyHint: string,
  name: string,
): VertexInput {
  const attrs = {
    ...(context.excludes.length === 0 ? {} : { 'local.excludepatterns': goJson(context.excludes) }),
    'local.sharedkeyhint': sharedKeyHint,
  };
  const source = vertex({ kind: 'source', identifier: `local://${context.sourceName}`, attrs }, [], {
    metadata: { name },
  });
  return { vertex: source, index: 0 };
}

/** `keepGitDir` besides what the URL says. */
function gitSource(text: string, name: string, keepGitDir: boolean): VertexInput {
  const url = parseGitContext(text);
  if (url === undefined) {
    throw new BuildError({
      code: 'usage',
      message: `${text} is not a git URL`,
      hint: 'a repository over http(s) ends in .git: https://host/repo.git#ref:subdir',
    });
  }
  const attrs = gitAttributes(url, { keepGitDir: keepGitDir || url.keepGitDir === true, checksum: url.checksum });
  const source = vertex({ kind: 'source', identifier: gitIdentifier(url), attrs }, [], { metadata: { name } });
  return { vertex: source, index: 0 };
}

/** One file, called as the URL is where the attributes do not say. */
function httpSource(url: string, name: string, attrs: Readonly<Record<string, string>> = {}): VertexInput {
  const op = { kind: 'source', identifier: url, attrs } as const;
  return { vertex: vertex(op, [], { metadata: { name } }), index: 0 };
}

/** As Go's strconv.ParseBool, anything else being false. */
function parseBool(text: string): boolean {
  return /^(?:1|t|T|TRUE|true|True)$/.test(text);
}
