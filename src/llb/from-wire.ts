/** The messages of `pb.Op` as an op. What we have no place for is an error, never silently dropped. */
import { BuildError } from '../contracts/index.ts';
import type {
  PbChownOpt,
  PbExecOp,
  PbFileAction,
  PbMeta,
  PbMount,
  PbOp,
  PbPlatform,
  PbProxyEnv,
  PbSecretOpt,
  PbUserOpt,
} from './gen/ops.ts';
import { CONTENT_CACHE, MOUNT_TYPE, NETWORK, SECURITY, SHARING } from './to-wire.ts';
import type { Chown, ExecMeta, FileAction, FileActionKind, Mount, MountType, Op, Platform, UserRef } from './types.ts';

/**
 * @throws BuildError `usage` for an op that is not whole, `unsupported` for one that this version does not know.
 */
export function fromWire(wire: PbOp): Op {
  if (wire.source !== undefined) {
    return { kind: 'source', identifier: wire.source.identifier ?? '', attrs: wire.source.attrs ?? {} };
  }
  if (wire.exec !== undefined) return fromExec(wire.exec);
  if (wire.file !== undefined) {
    const actions = (wire.file.actions ?? []).map(fromFileAction);
    if (actions.length === 0) throw invalid('a file op has no action');
    return { kind: 'file', actions };
  }
  if (wire.merge !== undefined) {
    return { kind: 'merge', inputs: (wire.merge.inputs ?? []).map(({ input }) => index(input)) };
  }
  if (wire.diff !== undefined) {
    const { lower, upper } = wire.diff;
    if (lower === undefined || upper === undefined) throw invalid('a diff op lacks lower or upper');
    return { kind: 'diff', lower: index(lower.input), upper: index(upper.input) };
  }
  if (wire.build !== undefined) {
    const { builder, inputs = {}, attrs = {} } = wire.build;
    const entries = Object.entries(inputs).map(([name, { input }]) => [name, index(input)] as const);
    return { kind: 'build', builder: index(builder), inputs: Object.fromEntries(entries), attrs };
  }
  if (wire.passthrough !== undefined) {
    throw new BuildError({ code: 'unsupported', message: 'passthrough ops of LLB are not supported' });
  }
  throw invalid('an op is of no known kind');
}

export function fromPlatform(wire: PbPlatform | undefined): Platform | undefined {
  if (wire === undefined) return undefined;
  return {
    os: wire.OS ?? '',
    architecture: wire.Architecture ?? '',
    ...(wire.Variant === undefined ? {} : { variant: wire.Variant }),
    ...(wire.OSVersion === undefined ? {} : { osVersion: wire.OSVersion }),
  };
}

function fromExec(wire: PbExecOp): Op {
  const { meta } = wire;
  const mounts = (wire.mounts ?? []).map(fromMount);
  if (meta === undefined) throw invalid('an exec op has no meta');
  if ((meta.args ?? []).length === 0) throw invalid('an exec op has no arguments');
  if (mounts.filter(({ dest }) => dest === '/').length !== 1) throw invalid('an exec op needs one mount at /');
  return {
    kind: 'exec',
    meta: fromMeta(meta),
    mounts,
    network: oneOf(NETWORK, wire.network, 'network mode'),
    security: oneOf(SECURITY, wire.security, 'security mode'),
    secretEnv: (wire.secretenv ?? []).map(({ ID = '', name = '', optional = false }) => ({ id: ID, name, optional })),
    cdiDevices: (wire.cdiDevices ?? []).map(({ name = '', optional = false }) => ({ name, optional })),
  };
}

function fromMeta(wire: PbMeta): ExecMeta {
  const proxyEnv = fromProxyEnv(wire.proxy_env);
  return {
    args: wire.args ?? [],
    env: wire.env ?? [],
    cwd: wire.cwd ?? '',
    user: wire.user ?? '',
    ...(proxyEnv === undefined ? {} : { proxyEnv }),
    extraHosts: (wire.extraHosts ?? []).map(({ Host = '', IP = '' }) => ({ host: Host, ip: IP })),
    hostname: wire.hostname ?? '',
    ulimits: (wire.ulimit ?? []).map(({ Name = '', Soft = 0n, Hard = 0n }) => ({
      name: Name,
      soft: Number(Soft),
      hard: Number(Hard),
    })),
    cgroupParent: wire.cgroupParent ?? '',
    removeMountStubsRecursive: wire.removeMountStubsRecursive ?? false,
    validExitCodes: wire.validExitCodes ?? [],
  };
}

function fromProxyEnv(wire: PbProxyEnv | undefined): ExecMeta['proxyEnv'] {
  if (wire === undefined) return undefined;
  return {
    ...(wire.http_proxy === undefined ? {} : { httpProxy: wire.http_proxy }),
    ...(wire.https_proxy === undefined ? {} : { httpsProxy: wire.https_proxy }),
    ...(wire.ftp_proxy === undefined ? {} : { ftpProxy: wire.ftp_proxy }),
    ...(wire.no_proxy === undefined ? {} : { noProxy: wire.no_proxy }),
    ...(wire.all_proxy === undefined ? {} : { allProxy: wire.all_proxy }),
  };
}

function fromMount(wire: PbMount): Mount {
  if (wire.resultID !== undefined) throw invalid('a mount with a result id belongs into no definition');
  const type = fromMountType(wire);
  const ignoresOutput = type.kind === 'secret' || type.kind === 'ssh';
  const contentCache = oneOf(CONTENT_CACHE, wire.contentCache, 'content cache mode');
  return {
    input: index(wire.input),
    ...(wire.selector === undefined ? {} : { selector: wire.selector }),
    dest: wire.dest ?? '',
    output: ignoresOutput ? -1 : index(wire.output),
    readonly: wire.readonly ?? false,
    type,
    ...(contentCache === 'default' ? {} : { contentCache }),
  };
}

function fromMountType(wire: PbMount): MountType {
  const kind = oneOf(MOUNT_TYPE, wire.mountType, 'mount type');
  switch (kind) {
    case 'bind':
      return { kind };
    case 'cache':
      return { kind, id: wire.cacheOpt?.ID ?? '', sharing: oneOf(SHARING, wire.cacheOpt?.sharing, 'sharing mode') };
    case 'tmpfs':
      return { kind, size: Number(wire.TmpfsOpt?.size ?? 0n) };
    case 'secret':
      return { kind, ...fromFileOpt(wire.secretOpt) };
    case 'ssh':
      return { kind, ...fromFileOpt(wire.SSHOpt) };
  }
}

function fromFileOpt(wire: PbSecretOpt | undefined): {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
} {
  const { ID = '', uid = 0, gid = 0, mode = 0, optional = false } = wire ?? {};
  return { id: ID, uid, gid, mode, optional };
}

function fromFileAction(wire: PbFileAction): FileAction {
  return {
    input: index(wire.input),
    secondaryInput: index(wire.secondaryInput),
    output: index(wire.output),
    action: fromAction(wire),
  };
}

function fromAction({ copy, mkfile, mkdir, rm, symlink }: PbFileAction): FileActionKind {
  if (copy !== undefined) {
    return {
      kind: 'copy',
      src: copy.src ?? '',
      dest: copy.dest ?? '',
      ...fromOwner(copy.owner),
      mode: copy.mode ?? 0,
      ...(copy.modeStr === undefined ? {} : { modeStr: copy.modeStr }),
      followSymlink: copy.followSymlink ?? false,
      dirCopyContents: copy.dirCopyContents ?? false,
      attemptUnpackDockerCompatibility: copy.attemptUnpackDockerCompatibility ?? false,
      createDestPath: copy.createDestPath ?? false,
      allowWildcard: copy.allowWildcard ?? false,
      allowEmptyWildcard: copy.allowEmptyWildcard ?? false,
      timestamp: copy.timestamp ?? 0n,
      includePatterns: copy.include_patterns ?? [],
      excludePatterns: copy.exclude_patterns ?? [],
      alwaysReplaceExistingDestPaths: copy.alwaysReplaceExistingDestPaths ?? false,
      requiredPaths: copy.required_paths ?? [],
    };
  }
  if (mkfile !== undefined) {
    const { path = '', mode = 0, data = new Uint8Array(), timestamp = 0n } = mkfile;
    return { kind: 'mkfile', path, mode, data, ...fromOwner(mkfile.owner), timestamp };
  }
  if (mkdir !== undefined) {
    const { path = '', mode = 0, makeParents = false, timestamp = 0n } = mkdir;
    return { kind: 'mkdir', path, mode, makeParents, ...fromOwner(mkdir.owner), timestamp };
  }
  if (rm !== undefined) {
    const { path = '', allowNotFound = false, allowWildcard = false } = rm;
    return { kind: 'rm', path, allowNotFound, allowWildcard };
  }
  if (symlink !== undefined) {
    const { oldpath = '', newpath = '', timestamp = 0n } = symlink;
    return { kind: 'symlink', oldPath: oldpath, newPath: newpath, ...fromOwner(symlink.owner), timestamp };
  }
  throw invalid('a file action is of no known kind');
}

function fromOwner(wire: PbChownOpt | undefined): { owner?: Chown } {
  if (wire === undefined) return {};
  const user = fromUser(wire.user);
  const group = fromUser(wire.group);
  return { owner: { ...(user === undefined ? {} : { user }), ...(group === undefined ? {} : { group }) } };
}

function fromUser(wire: PbUserOpt | undefined): UserRef | undefined {
  if (wire?.byName !== undefined)
    return { kind: 'name', name: wire.byName.name ?? '', input: index(wire.byName.input) };
  return wire === undefined ? undefined : { kind: 'id', id: wire.byID ?? 0 };
}

/** Indices are -1 (none) or count inputs, actions, outputs: all far below 2^31. */
function index(value: bigint | undefined): number {
  const number = Number(value ?? 0n);
  if (number < -1 || number > 0x7fff_ffff) throw invalid(`${String(value)} is not an index`);
  return number;
}

function oneOf<T>(values: readonly T[], number: number | undefined, what: string): T {
  const value = values[number ?? 0];
  if (value === undefined) throw invalid(`${what} ${String(number)} is not known`);
  return value;
}

export function invalid(reason: string): BuildError {
  return new BuildError({ code: 'usage', message: `not an LLB definition: ${reason}` });
}
