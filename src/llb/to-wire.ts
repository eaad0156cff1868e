/** An op as the messages of `pb.Op`. The other way: from-wire.ts. */
import type {
  PbChownOpt,
  PbExecOp,
  PbFileAction,
  PbInput,
  PbMount,
  PbOp,
  PbPlatform,
  PbProxyEnv,
  PbUserOpt,
} from './gen/ops.ts';
import type { Chown, ExecMeta, FileAction, Mount, Op, Platform, UserRef, VertexInput } from './types.ts';

export const NETWORK = ['sandbox', 'host', 'none'] as const;
export const SECURITY = ['sandbox', 'insecure'] as const;
export const MOUNT_TYPE = ['bind', 'secret', 'ssh', 'cache', 'tmpfs'] as const;
export const SHARING = ['shared', 'private', 'locked'] as const;
export const CONTENT_CACHE = ['default', 'on', 'off'] as const;

/** BuildKit always writes the constraints, empty as they are; the platform only where the op depends on it. */
export function toWire(op: Op, inputs: readonly VertexInput[], platform: Platform | undefined): PbOp {
  return {
    inputs: inputs.map(toInput),
    ...toMember(op),
    platform: platform === undefined ? undefined : toPlatform(platform),
    constraints: {},
  };
}

export function toInput(input: VertexInput): PbInput {
  return { digest: input.vertex.digest, index: BigInt(input.index) };
}

function toMember(op: Op): PbOp {
  switch (op.kind) {
    case 'source':
      return { source: { identifier: op.identifier, attrs: op.attrs } };
    case 'exec':
      return { exec: toExec(op) };
    case 'file':
      return { file: { actions: op.actions.map(toFileAction) } };
    case 'merge':
      return { merge: { inputs: op.inputs.map((input) => ({ input: BigInt(input) })) } };
    case 'diff':
      return { diff: { lower: { input: BigInt(op.lower) }, upper: { input: BigInt(op.upper) } } };
    case 'build':
      return {
        build: {
          builder: BigInt(op.builder),
          inputs: Object.fromEntries(
            Object.entries(op.inputs).map(([name, input]) => [name, { input: BigInt(input) }]),
          ),
          attrs: op.attrs,
        },
      };
  }
}

function toPlatform(platform: Platform): PbPlatform {
  return {
    Architecture: platform.architecture,
    OS: platform.os,
    Variant: platform.variant,
    OSVersion: platform.osVersion,
  };
}

function toExec(op: Extract<Op, { kind: 'exec' }>): PbExecOp {
  return {
    meta: {
      args: op.meta.args,
      env: op.meta.env,
      cwd: op.meta.cwd,
      user: op.meta.user,
      proxy_env: toProxyEnv(op.meta.proxyEnv),
      extraHosts: op.meta.extraHosts.map(({ host, ip }) => ({ Host: host, IP: ip })),
      hostname: op.meta.hostname,
      ulimit: op.meta.ulimits.map(({ name, soft, hard }) => ({ Name: name, Soft: BigInt(soft), Hard: BigInt(hard) })),
      cgroupParent: op.meta.cgroupParent,
      removeMountStubsRecursive: op.meta.removeMountStubsRecursive,
      validExitCodes: op.meta.validExitCodes,
    },
    mounts: op.mounts.map(toMount),
    network: NETWORK.indexOf(op.network),
    security: SECURITY.indexOf(op.security),
    secretenv: op.secretEnv.map(({ id, name, optional }) => ({ ID: id, name, optional })),
    cdiDevices: op.cdiDevices,
  };
}

function toProxyEnv(proxy: ExecMeta['proxyEnv']): PbProxyEnv | undefined {
  if (proxy === undefined) return undefined;
  return {
    http_proxy: proxy.httpProxy,
    https_proxy: proxy.httpsProxy,
    ftp_proxy: proxy.ftpProxy,
    no_proxy: proxy.noProxy,
    all_proxy: proxy.allProxy,
  };
}

function toMount(mount: Mount): PbMount {
  const { type } = mount;
  // BuildKit leaves the output of secret and ssh mounts unset, which is 0, and ignores it.
  const ignoresOutput = type.kind === 'secret' || type.kind === 'ssh';
  return {
    input: BigInt(mount.input),
    selector: mount.selector,
    dest: mount.dest,
    output: ignoresOutput ? 0n : BigInt(mount.output),
    readonly: mount.readonly,
    mountType: MOUNT_TYPE.indexOf(type.kind),
    TmpfsOpt: type.kind === 'tmpfs' ? { size: BigInt(type.size) } : undefined,
    cacheOpt: type.kind === 'cache' ? { ID: type.id, sharing: SHARING.indexOf(type.sharing) } : undefined,
    secretOpt: type.kind === 'secret' ? toFileOpt(type) : undefined,
    SSHOpt: type.kind === 'ssh' ? toFileOpt(type) : undefined,
    contentCache: CONTENT_CACHE.indexOf(mount.contentCache ?? 'default'),
  };
}

function toFileOpt(type: {
  readonly id: string;
  readonly uid: number;
  readonly gid: number;
  readonly mode: number;
  readonly optional: boolean;
}): PbMount['secretOpt'] {
  return { ID: type.id, uid: type.uid, gid: type.gid, mode: type.mode, optional: type.optional };
}

function toFileAction({ input, secondaryInput, output, action }: FileAction): PbFileAction {
  const edges = { input: BigInt(input), secondaryInput: BigInt(secondaryInput), output: BigInt(output) };
  switch (action.kind) {
    case 'copy':
      return {
        ...edges,
        copy: {
          src: action.src,
          dest: action.dest,
          owner: toChown(action.owner),
          mode: action.mode,
          followSymlink: action.followSymlink,
          dirCopyContents: action.dirCopyContents,
          attemptUnpackDockerCompatibility: action.attemptUnpackDockerCompatibility,
          createDestPath: action.createDestPath,
          allowWildcard: action.allowWildcard,
          allowEmptyWildcard: action.allowEmptyWildcard,
          timestamp: action.timestamp,
          include_patterns: action.includePatterns,
          exclude_patterns: action.excludePatterns,
          alwaysReplaceExistingDestPaths: action.alwaysReplaceExistingDestPaths,
          modeStr: action.modeStr,
          required_paths: action.requiredPaths,
        },
      };
    case 'mkfile': {
      const { path, mode, data, timestamp } = action;
      return { ...edges, mkfile: { path, mode, data, owner: toChown(action.owner), timestamp } };
    }
    case 'mkdir': {
      const { path, mode, makeParents, timestamp } = action;
      return { ...edges, mkdir: { path, mode, makeParents, owner: toChown(action.owner), timestamp } };
    }
    case 'rm': {
      const { path, allowNotFound, allowWildcard } = action;
      return { ...edges, rm: { path, allowNotFound, allowWildcard } };
    }
    case 'symlink': {
      const { oldPath, newPath, timestamp } = action;
      return { ...edges, symlink: { oldpath: oldPath, newpath: newPath, owner: toChown(action.owner), timestamp } };
    }
  }
}

function toChown(owner: Chown | undefined): PbChownOpt | undefined {
  if (owner === undefined) return undefined;
  return { user: toUser(owner.user), group: toUser(owner.group) };
}

function toUser(user: UserRef | undefined): PbUserOpt | undefined {
  if (user === undefined) return undefined;
  if (user.kind === 'id') return { byID: user.id ?? 0 };
  return { byName: { name: user.name, input: BigInt(user.input ?? -1) } };
}
