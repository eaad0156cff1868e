/**
 * What a daemon must be able to do to solve an op: capability ids of BuildKit (solver/pb/caps.go), as its client
 * records them in `OpMetadata.caps`. A daemon refuses a definition that asks for what it does not know.
 */
import type { Op, Vertex, VertexMetadata } from './types.ts';

const SOURCE: readonly (readonly [scheme: RegExp, capability: string, attributes: Readonly<Record<string, string>>])[] =
  [
    [
      /^docker-image:/,
      'source.image',
      { 'image.layerlimit': 'source.image.layerlimit', 'image.checksum': 'source.image.checksum' },
    ],
    [/^oci-layout:/, 'source.ocilayout', {}],
    [/^(?:docker-image|oci-layout)\+blob:/, 'source.imageblob', {}],
    [
      /^local:/,
      'source.local',
      {
        'local.unique': 'source.local.unique',
        'local.session': 'source.local.sessionid',
        'local.includepattern': 'source.local.includepatterns',
        'local.followpaths': 'source.local.followpaths',
        'local.excludepatterns': 'source.local.excludepatterns',
        'local.sharedkeyhint': 'source.local.sharedkeyhint',
      },
    ],
    [
      /^git:/,
      'source.git',
      {
        'git.keepgitdir': 'source.git.keepgitdir',
        'git.fullurl': 'source.git.fullurl',
        'git.knownsshhosts': 'source.git.knownsshhosts',
        'git.mountsshsock': 'source.git.mountsshsock',
        'git.checksum': 'source.git.checksum',
        'git.skipsubmodules': 'source.git.skipsubmodules',
        'git.mtime': 'source.git.mtime',
        'git.fetchbycommit': 'source.git.fetchbycommit',
      },
    ],
    [
      /^https?:/,
      'source.http',
      {
        'http.checksum': 'source.http.checksum',
        'http.perm': 'source.http.perm',
        // The misspelt id is the real one.
        'http.uid': 'soruce.http.uidgid',
        'http.gid': 'soruce.http.uidgid',
        'http.authheadersecret': 'source.http.auth',
      },
    ],
  ];

/** Sorted, each once. */
export function capabilities(vertex: Vertex): readonly string[] {
  return [...new Set(of(vertex.op))].sort();
}

/** What the terminal op asks for: it stands for the definition as a whole. */
export function definitionCapabilities(all: readonly VertexMetadata[]): readonly string[] {
  return [
    'constraints',
    ...(all.some((metadata) => metadata.name !== undefined || metadata.description !== undefined)
      ? ['meta.description']
      : []),
    ...(all.some((metadata) => metadata.ignoreCache === true) ? ['meta.ignorecache'] : []),
    'platform',
  ];
}

function of(op: Op): readonly string[] {
  switch (op.kind) {
    case 'source':
      return ofSource(op.identifier, op.attrs);
    case 'exec':
      return ofExec(op);
    case 'merge':
      return ['mergeop'];
    case 'diff':
      return ['diffop'];
    case 'build':
      return 'llbbuild.filename' in op.attrs ? ['source.buildop.llbfilename'] : [];
    case 'file':
      return ['file.base', ...op.actions.flatMap(({ action }) => ofAction(action))];
  }
}

function ofSource(identifier: string, attrs: Readonly<Record<string, string>>): readonly string[] {
  const row = SOURCE.find(([scheme]) => scheme.test(identifier));
  if (row === undefined) return [];
  const [, base, byAttribute] = row;
  // Only a mode that is enforced for security asks for the capability.
  const pulls = attrs['image.resolvemode'] === 'pull' ? ['source.image.resolvemode'] : [];
  return [base, ...pulls, ...Object.keys(attrs).flatMap((name) => byAttribute[name] ?? [])];
}

function ofExec(op: Extract<Op, { kind: 'exec' }>): readonly string[] {
  const { meta } = op;
  const found = ['exec.meta.base'];
  if (meta.ulimits.length > 0) found.push('exec.meta.ulimit');
  if (meta.cgroupParent !== '') found.push('exec.meta.cgroup.parent');
  if (meta.proxyEnv !== undefined) found.push('exec.meta.proxyenv');
  if (meta.validExitCodes.length > 0) found.push('exec.validexitcode');
  if (op.network !== 'sandbox') found.push('exec.meta.network');
  if (op.security !== 'sandbox') found.push('exec.meta.security');
  if (op.secretEnv.length > 0) found.push('exec.mount.secret', 'exec.secretenv');
  if (op.cdiDevices.length > 0) found.push('exec.meta.cdi');
  for (const mount of op.mounts) {
    if (mount.selector !== undefined && mount.selector !== '') found.push('exec.mount.selector');
    if (mount.contentCache !== undefined && mount.contentCache !== 'default') found.push('exec.mount.cache.content');
    switch (mount.type.kind) {
      case 'bind':
        if (mount.input >= 0) found.push('exec.mount.bind');
        if (!mount.readonly && mount.output < 0) found.push('exec.mount.bind.readwrite-nooutput');
        break;
      case 'cache':
        found.push('exec.mount.cache', 'exec.mount.cache.sharing');
        break;
      case 'tmpfs':
        found.push('exec.mount.tmpfs');
        if (mount.type.size > 0) found.push('exec.mount.tmpfs.size');
        break;
      default:
        found.push(`exec.mount.${mount.type.kind}`);
    }
  }
  return found;
}

function ofAction(action: Extract<Op, { kind: 'file' }>['actions'][number]['action']): readonly string[] {
  switch (action.kind) {
    case 'copy':
      return [
        ...(action.includePatterns.length + action.excludePatterns.length > 0
          ? ['file.copy.includeexcludepatterns']
          : []),
        ...(action.requiredPaths.length > 0 ? ['file.copy.requiredpaths'] : []),
        ...(action.alwaysReplaceExistingDestPaths ? ['file.copy.alwaysreplaceexistingdestpaths'] : []),
        ...(action.modeStr === undefined ? [] : ['file.copy.modestring']),
      ];
    case 'rm':
      return action.allowWildcard ? ['file.rm.wildcard'] : [];
    case 'symlink':
      return ['file.symlink.create'];
    default:
      return [];
  }
}
