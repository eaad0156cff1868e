/**
 * The OCI runtime configuration of a step (runtime-spec config.md), as BuildKit makes it of containerd's defaults
 * (executor/oci/spec_linux.go). Pure: takes what was looked up, mounted and decided, and returns the document.
 */
import type { ExecRequest } from '../../contracts/index.ts';
import type { RunUser } from './user.ts';
import type { SeccompProfile } from './seccomp.ts';

export interface OciMount {
  readonly destination: string;
  readonly type: string;
  readonly source: string;
  readonly options: readonly string[];
}

export interface SpecInput {
  readonly request: Pick<
    ExecRequest,
    'args' | 'env' | 'cwd' | 'network' | 'security' | 'hostname' | 'ulimits' | 'shmSize' | 'rootReadonly'
  >;
  readonly user: RunUser;
  /** Where the root file system is mounted. */
  readonly rootfs: string;
  /** Further mounts, in their order. */
  readonly mounts: readonly OciMount[];
  readonly terminal: boolean;
  /** Ready for the runtime: the profile, or its compiled form in base64 (crun only). */
  readonly seccomp: { readonly profile: SeccompProfile } | { readonly bpf: string } | undefined;
  /** Hard limits of our own process: a step's may not exceed them where CAP_SYS_RESOURCE is missing. */
  readonly hardLimits: ReadonlyMap<string, number>;
  /** A device cgroup is in force; else mounts keep devices shut. */
  readonly guarded: boolean;
  /** Path of mount(8), where the root must be made `nodev` by a hook: crun mounts it again without. */
  readonly nodevHook: string | undefined;
  /** Cgroup of the container, for a runtime that cannot do without. */
  readonly cgroupsPath?: string | undefined;
  /** All that this process may give, for `security: insecure`. */
  readonly allCapabilities: readonly string[];
}

export const DEFAULT_HOSTNAME = 'buildkitsandbox';
/** Docker's default for /dev/shm, bytes. */
const DEFAULT_SHM_SIZE = 64 * 1024 * 1024;

/** Docker's and containerd's default set. */
export const DEFAULT_CAPABILITIES: readonly string[] = [
  'CAP_CHOWN',
  'CAP_DAC_OVERRIDE',
  'CAP_FSETID',
  'CAP_FOWNER',
  'CAP_MKNOD',
  'CAP_NET_RAW',
  'CAP_SETGID',
  'CAP_SETUID',
  'CAP_SETFCAP',
  'CAP_SETPCAP',
  'CAP_NET_BIND_SERVICE',
  'CAP_SYS_CHROOT',
  'CAP_KILL',
  'CAP_AUDIT_WRITE',
];

const MASKED_PATHS: readonly string[] = [
  '/proc/acpi',
  '/proc/asound',
  '/proc/interrupts',
  '/proc/kcore',
  '/proc/keys',
  '/proc/latency_stats',
  '/proc/sched_debug',
  '/proc/scsi',
  '/proc/timer_list',
  '/proc/timer_stats',
  '/sys/devices/virtual/powercap',
  '/sys/firmware',
];

const READONLY_PATHS: readonly string[] = ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys', '/proc/sysrq-trigger'];

/** Device nodes of every container (runtime-spec config-linux.md, default devices). */
const DEVICES: readonly string[] = ['null', 'zero', 'full', 'random', 'urandom', 'tty'];

/** Nodes that `security: insecure` has besides, made whether or not there is a driver (BuildKit: util/entitlements). */
const INSECURE_DEVICES = [
  ...(
    [
      ['/dev/kmsg', 1, 11],
      ['/dev/cuse', 10, 203],
      ['/dev/fuse', 10, 229],
      ['/dev/kvm', 10, 232],
      ['/dev/net/tun', 10, 200],
      ['/dev/loop-control', 10, 237],
    ] as const
  ).map(([path, major, minor]) => ({ path, type: 'c', major, minor })),
  ...Array.from({ length: 8 }, (_, i) => ({ path: `/dev/loop${i}`, type: 'b', major: 7, minor: i })),
];

/**
 * Without a device cgroup nothing of a step allows devices: /dev holds binds of the six harmless ones and is `nodev`
 * otherwise, as are the root and all mounts. `mknod` works, opening what it made does not: the same effect.
 */
function systemMounts(request: SpecInput['request'], guarded: boolean): readonly OciMount[] {
  const insecure = request.security === 'insecure';
  const size = request.shmSize ?? DEFAULT_SHM_SIZE;
  const pseudo = ['nosuid', 'noexec', 'nodev'];
  const shut = !guarded && !insecure;
  return [
    { destination: '/proc', type: 'proc', source: 'proc', options: pseudo },
    {
      destination: '/dev',
      type: 'tmpfs',
      source: 'tmpfs',
      options: ['nosuid', ...(shut ? ['nodev'] : []), 'strictatime', 'mode=755', 'size=65536k'],
    },
    {
      destination: '/dev/pts',
      type: 'devpts',
      source: 'devpts',
      options: ['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5'],
    },
    { destination: '/dev/shm', type: 'tmpfs', source: 'shm', options: [...pseudo, 'mode=1777', `size=${size}`] },
    { destination: '/dev/mqueue', type: 'mqueue', source: 'mqueue', options: pseudo },
    { destination: '/sys', type: 'sysfs', source: 'sysfs', options: [...pseudo, insecure ? 'rw' : 'ro'] },
    ...(insecure
      ? [{ destination: '/sys/fs/cgroup', type: 'bind', source: '/sys/fs/cgroup', options: ['rbind', 'rw', ...pseudo] }]
      : []),
    ...(shut ? DEVICES.map(deviceBind) : []),
  ];
}

function deviceBind(name: string): OciMount {
  return { destination: `/dev/${name}`, type: 'bind', source: `/dev/${name}`, options: ['bind', 'nosuid', 'noexec'] };
}

/**
 * Runs in the container's mount namespace while its root is still at the executor's path. The state that the runtime
 * writes to its stdin has to be read, or the runtime fails for a broken pipe.
 */
function nodevHooks(mount: string, rootfs: string): Readonly<Record<string, unknown>> {
  const script = 'while read -r _; do :; done; exec "$0" -o remount,bind,nodev "$1"';
  return { createContainer: [{ path: '/bin/sh', args: ['sh', '-c', script, mount, rootfs] }] };
}

/** @returns The document, ready for JSON. */
export function ociSpec(input: SpecInput): Readonly<Record<string, unknown>> {
  const { request, user } = input;
  const insecure = request.security === 'insecure';
  const capabilities = insecure ? input.allCapabilities : DEFAULT_CAPABILITIES;
  const namespaces = ['pid', 'ipc', 'uts', 'mount', ...(request.network === 'none' ? ['network'] : [])];
  return {
    ociVersion: '1.0.2',
    process: {
      terminal: input.terminal,
      user: { uid: user.uid, gid: user.gid, additionalGids: user.additionalGids },
      args: request.args,
      env: request.env,
      cwd: request.cwd === '' ? '/' : request.cwd,
      capabilities: {
        bounding: capabilities,
        effective: capabilities,
        permitted: capabilities,
        // So that other users have them, too.
        ...(insecure ? { inheritable: capabilities, ambient: capabilities } : {}),
      },
      rlimits: rlimits(request.ulimits ?? [], input.hardLimits),
      noNewPrivileges: false,
    },
    root: { path: input.rootfs, readonly: request.rootReadonly === true },
    hostname: request.hostname === undefined || request.hostname === '' ? DEFAULT_HOSTNAME : request.hostname,
    mounts: mergeMounts(systemMounts(request, input.guarded), input.mounts),
    ...(input.nodevHook === undefined || insecure ? {} : { hooks: nodevHooks(input.nodevHook, input.rootfs) }),
    ...(input.seccomp !== undefined && 'bpf' in input.seccomp
      ? { annotations: { 'run.oci.seccomp_bpf_data': input.seccomp.bpf } }
      : {}),
    linux: {
      namespaces: namespaces.map((type) => ({ type })),
      ...(insecure && capabilities.includes('CAP_MKNOD') ? { devices: INSECURE_DEVICES } : {}),
      ...(input.cgroupsPath === undefined ? {} : { cgroupsPath: input.cgroupsPath }),
      ...(insecure ? {} : { maskedPaths: MASKED_PATHS, readonlyPaths: READONLY_PATHS }),
      ...(input.seccomp !== undefined && 'profile' in input.seccomp ? { seccomp: input.seccomp.profile } : {}),
    },
  };
}

/** A step's own mounts after the system's; a later one of the same destination replaces the earlier. */
function mergeMounts(system: readonly OciMount[], own: readonly OciMount[]): readonly OciMount[] {
  const last = new Map([...system, ...own].map((mount) => [mount.destination, mount]));
  return [...system, ...own].filter((mount) => last.get(mount.destination) === mount);
}

function rlimits(
  ulimits: NonNullable<ExecRequest['ulimits']>,
  hardLimits: ReadonlyMap<string, number>,
): readonly { readonly type: string; readonly soft: number; readonly hard: number }[] {
  return ulimits.map(({ name, soft, hard }) => {
    const type = `RLIMIT_${name.toUpperCase()}`;
    const ours = hardLimits.get(type) ?? Infinity;
    const clamp = (value: number): number => Math.min(value < 0 ? Number.MAX_SAFE_INTEGER : value, ours);
    return { type, soft: clamp(soft), hard: clamp(hard) };
  });
}
