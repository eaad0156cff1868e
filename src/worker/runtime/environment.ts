/**
 * What the executor's process has set up once for all its steps: a tmpfs for their small files, the runtime, the limits.
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { storeLayout, type StoreLayout } from '../../store/index.ts';
import { MNT_DETACH, MS_NODEV, MS_NOSUID, bindMount, mount, umount } from '../../sys/mount.ts';
import { closeOnExec } from '../../sys/spawn.ts';
import { LIMIT_NAMES, getLimit } from '../../sys/rlimit.ts';
import { BuildError, type LayerId, type TreePath } from '../../contracts/index.ts';
import { readImplicit } from '../snapshot/implicit.ts';
import { findProgram, findRuntime, type Runtime } from '../host.ts';
import { defaultSeccompProfile } from './seccomp.ts';
import { keepCompiled, readCompiled, type CompiledSeccomp } from './seccomp-cache.ts';
import { guardDevices, wayOut } from './device-guard.ts';
import { DEFAULT_HOSTNAME, type SpecInput } from './spec.ts';

export interface StepEnvironment {
  readonly layout: StoreLayout;
  /** A tmpfs in this namespace. */
  readonly directory: string;
  /** An empty directory on the store's file system, made at the first call: most builds need none. */
  readonly empty: () => string;
  /** A device cgroup keeps steps from opening devices; without one their mounts must. */
  readonly guarded: Promise<boolean>;
  runtime(): Runtime;
  /** The default profile in the best form there is; undefined where the kernel knows no seccomp. */
  seccomp(): SpecInput['seccomp'];
  /** A compiled form for further steps, of this build and later ones. */
  keepSeccomp(compiled: CompiledSeccomp): void;
  /** mount(8), which makes a root `nodev` again after a runtime that forgot it; needed without a guard. Errors: `host`. */
  mountProgram(): string;
  hardLimits(): ReadonlyMap<string, number>;
  allCapabilities(): readonly string[];
  /** A resolv.conf for steps, as the host's is now. */
  resolvConf(): string;
  hostsFile(): string;
  /** Directories of a materialized layer that its tree does not hold. */
  implicitOf(id: LayerId): ReadonlySet<TreePath>;
  /** Does this at the next `finish`, or when nothing has come for a moment. */
  later(work: () => void): void;
  /** Does now what was put off: best while a step runs, when there is nothing else to do here. */
  finish(): void;
  /** The file to leave the device guard by; see `wayOut`. */
  wayOut(): string | undefined;
  /** A name for the next step, unlike any other's on this machine: runc makes cgroups of it. */
  nextStep(): string;
}

/** Milliseconds without a request after which nobody is kept waiting. */
const PAUSE = 2;

/** Must run in a mount namespace of its own. */
export function openStepEnvironment(root: string, runtimeName: string | undefined): StepEnvironment {
  closeOnExec();
  const layout = storeLayout(root);
  // Over the stat caches, which nobody needs in this namespace: nothing to make, nothing that a kill could leave.
  const directory = layout.statCaches;
  mkdirSync(directory, { recursive: true });
  mount({ source: 'slipway', target: directory, type: 'tmpfs', flags: MS_NOSUID | MS_NODEV, data: 'mode=0711' });
  mkdirSync(`${directory}/runtime`);
  mkdirSync(`${directory}/cgroup`);
  const guarded = guardDevices(`${directory}/cgroup`);
  // Who waits for it hears of it; nobody may.
  guarded.catch(() => undefined);
  // crun 1.8 refuses machines that have both hierarchies; here nobody needs the second.
  umount('/sys/fs/cgroup/unified', MNT_DETACH);

  const name = Math.floor(Math.random() * 2 ** 32)
    .toString(16)
    .padStart(8, '0');
  let steps = 0;
  const runtime = once(() => unwritable(findRuntime(process.env, runtimeName), `${directory}/crun`));
  const profile = once(() => (kernelHasSeccomp() ? defaultSeccompProfile(process.arch) : undefined));
  const compiledPath = layout.codePath(`seccomp-${process.arch}`);
  let seccomp: SpecInput['seccomp'];
  const findSeccomp = once((): SpecInput['seccomp'] => {
    const wanted = profile();
    if (wanted === undefined) return undefined;
    const bpf = runtime().name === 'crun' ? readCompiled(compiledPath, wanted) : undefined;
    return bpf === undefined ? { profile: wanted } : { bpf };
  });
  const postponed: (() => void)[] = [];
  let idle: NodeJS.Timeout | undefined;
  const finish = (): void => {
    clearTimeout(idle);
    idle = undefined;
    for (const work of postponed.splice(0)) work();
  };
  const implicit = new Map<LayerId, ReadonlySet<TreePath>>();
  let lastResolv: string | undefined;
  const hosts = `${directory}/hosts`;
  writeFileSync(hosts, hostsText(DEFAULT_HOSTNAME, []), { mode: 0o644 });
  return {
    layout,
    directory,
    empty: once(() => {
      const path = layout.tempPath('empty');
      mkdirSync(path);
      return path;
    }),
    guarded,
    runtime,
    seccomp: () => seccomp ?? findSeccomp(),
    keepSeccomp(compiled) {
      const wanted = profile();
      if (wanted !== undefined && seccomp === undefined)
        seccomp = { bpf: keepCompiled(compiledPath, wanted, compiled) };
    },
    mountProgram: once(requireMount),
    hardLimits: once(readHardLimits),
    allCapabilities: once(readAllCapabilities),
    resolvConf() {
      const path = `${directory}/resolv.conf`;
      const text = resolvText(readText('/etc/resolv.conf'));
      if (text !== lastResolv) writeFileSync(path, text, { mode: 0o644 });
      lastResolv = text;
      return path;
    },
    hostsFile: () => hosts,
    later(work) {
      idle ??= setTimeout(finish, PAUSE);
      postponed.push(work);
    },
    finish,
    wayOut: once(() => wayOut(`${directory}/cgroup`)),
    nextStep: () => `${name}-${++steps}`,
    implicitOf(id) {
      let known = implicit.get(id);
      if (known === undefined) implicit.set(id, (known = new Set(readImplicit(layout.layerRoot(id)))));
      return known;
    },
  };
}

/**
 * crun runs itself again from a read-only mount, so that no step gets hold of a file that it could write to
 * (CVE-2019-5736): one third of what a start takes. Started from such a mount it need not.
 */
function unwritable(runtime: Runtime, place: string): Runtime {
  if (runtime.name !== 'crun') return runtime;
  writeFileSync(place, '');
  try {
    bindMount(runtime.path, place, { readonly: true, recursive: false });
    return { ...runtime, path: place };
  } catch {
    // A kernel that knows no such mounts (before 5.12).
    return runtime;
  }
}

/** Errors: `host`: then nothing would keep a step from this machine's disks. */
function requireMount(): string {
  const path = findProgram('mount', process.env);
  if (path !== undefined) return path;
  throw new BuildError({
    code: 'host',
    message: 'this machine has neither device cgroups nor the program mount to keep steps from its devices',
    hint: 'install util-linux, or give the container a writable cgroup file system',
  });
}

/** As BuildKit writes it (executor/oci/hosts.go). */
export function hostsText(hostname: string, extra: readonly { readonly host: string; readonly ip: string }[]): string {
  return [
    `127.0.0.1\tlocalhost ${hostname}`,
    '::1\tlocalhost ip6-localhost ip6-loopback',
    ...extra.map(({ host, ip }) => `${ip}\t${host}`),
    '',
  ].join('\n');
}

/** Steps share the host's network, so its resolvers are theirs, loopback ones too. Without any: public ones, as Docker. */
export function resolvText(hostText: string | undefined): string {
  if (hostText !== undefined && /^\s*nameserver\s+\S/m.test(hostText)) return hostText;
  const rest = (hostText ?? '').trimEnd();
  return `${rest === '' ? '' : `${rest}\n`}nameserver 8.8.8.8\nnameserver 8.8.4.4\n`;
}

function readText(path: string): string | undefined {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return undefined;
  }
}

function kernelHasSeccomp(): boolean {
  return /^Seccomp:/m.test(readText('/proc/self/status') ?? '');
}

function readHardLimits(): ReadonlyMap<string, number> {
  return new Map(LIMIT_NAMES.map((name) => [`RLIMIT_${name.toUpperCase()}`, getLimit(name).hard]));
}

/** Names by number (capabilities(7)). */
const CAPABILITIES =
  'CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE ' +
  'NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT SYS_ADMIN ' +
  'SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL SETFCAP MAC_OVERRIDE ' +
  'MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE';

function readAllCapabilities(): readonly string[] {
  const hex = /^CapBnd:\s*(\S+)/m.exec(readText('/proc/self/status') ?? '')?.[1] ?? '0';
  const bits = BigInt(`0x${hex}`);
  return CAPABILITIES.split(' ')
    .filter((_, number) => ((bits >> BigInt(number)) & 1n) === 1n)
    .map((name) => `CAP_${name}`);
}

function once<T>(make: () => T): () => T {
  let made: { readonly value: T } | undefined;
  return () => (made ??= { value: make() }).value;
}
