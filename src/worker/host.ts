/**
 * What this kernel and user can do, and what to install where something is missing. Used by the main process before it
 * starts an executor, and by the executor itself; loads nothing, so that asking costs nothing.
 */
import { accessSync, constants, readFileSync } from 'node:fs';
import { isAbsolute } from 'node:path';
import { BuildError } from '../contracts/index.ts';

export type RuntimeName = 'crun' | 'runc';

export interface Runtime {
  readonly name: RuntimeName;
  /** Absolute. */
  readonly path: string;
}

const CAP_SYS_ADMIN = 21;
/** Searched after PATH: `sudo` and cron often leave the sbin directories out. */
const SYSTEM_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/**
 * Checks all that an executor needs of this machine.
 *
 * @param env For PATH.
 * @returns The absolute path of unshare(1).
 * Errors: `host`, with the command that installs what is missing.
 */
export function requireExecutorHost(env: NodeJS.ProcessEnv): { readonly unshare: string } {
  if (process.platform !== 'linux') {
    throw new BuildError({
      code: 'host',
      message: `steps run on Linux only, this is ${process.platform}`,
      hint: 'use a BuildKit daemon: --builder docker-container://NAME',
    });
  }
  if (!hasCapability(CAP_SYS_ADMIN)) {
    throw new BuildError({
      code: 'host',
      message: 'RUN needs root for now: this process may not mount file systems',
      hint: 'run slipway as root (sudo), or in a container with --privileged',
    });
  }
  const unshare = findProgram('unshare', env);
  if (unshare === undefined) {
    throw new BuildError({
      code: 'host',
      message: 'the program unshare is not installed',
      hint: installHint({ debian: 'util-linux', fedora: 'util-linux', alpine: 'util-linux-misc', other: 'util-linux' }),
    });
  }
  return { unshare };
}

/**
 * The OCI runtime that runs steps: crun where there is one (4 ms a step), else runc (16 ms).
 *
 * @param wanted A name or an absolute path; undefined = either.
 * Errors: `host` when there is none.
 */
export function findRuntime(env: NodeJS.ProcessEnv, wanted?: string): Runtime {
  const candidates = wanted === undefined ? ['crun', 'runc'] : [wanted];
  for (const candidate of candidates) {
    const path = isAbsolute(candidate) ? executable(candidate) : findProgram(candidate, env);
    if (path !== undefined) return { name: path.includes('runc') ? 'runc' : 'crun', path };
  }
  throw new BuildError({
    code: 'host',
    message:
      wanted === undefined
        ? 'RUN needs an OCI runtime: neither crun nor runc is installed'
        : `the OCI runtime ${wanted} is not installed`,
    hint: installHint({ debian: 'crun', fedora: 'crun', alpine: 'crun', other: 'crun' }),
  });
}

export function findProgram(name: string, env: NodeJS.ProcessEnv): string | undefined {
  for (const directory of `${env.PATH ?? ''}:${SYSTEM_PATH}`.split(':')) {
    if (!isAbsolute(directory)) continue;
    const found = executable(`${directory}/${name}`);
    if (found !== undefined) return found;
  }
  return undefined;
}

function executable(path: string): string | undefined {
  try {
    accessSync(path, constants.X_OK);
    return path;
  } catch {
    return undefined;
  }
}

/** Whether this process has an effective capability (capabilities(7), by number). */
export function hasCapability(number: number): boolean {
  const hex = statusField('CapEff');
  if (hex === undefined) return process.getuid?.() === 0;
  return ((BigInt(`0x${hex}`) >> BigInt(number)) & 1n) === 1n;
}

function statusField(name: string): string | undefined {
  try {
    return new RegExp(`^${name}:\\s*(\\S+)`, 'm').exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  } catch {
    return undefined;
  }
}

interface PackageNames {
  readonly debian: string;
  readonly fedora: string;
  readonly alpine: string;
  readonly other: string;
}

/** The command that installs a package on this distribution (os-release(5)). */
export function installHint(names: PackageNames, osRelease = readOsRelease()): string {
  const ids = ['ID', 'ID_LIKE'].flatMap((key) =>
    (new RegExp(`^${key}="?([^"\n]*)"?$`, 'm').exec(osRelease)?.[1] ?? '').split(/\s+/),
  );
  const is = (...wanted: readonly string[]): boolean => wanted.some((id) => ids.includes(id));
  if (is('debian', 'ubuntu')) return `apt-get install ${names.debian}`;
  if (is('alpine')) return `apk add ${names.alpine}`;
  if (is('fedora', 'rhel', 'centos')) return `dnf install ${names.fedora}`;
  if (is('suse', 'opensuse', 'sles')) return `zypper install ${names.fedora}`;
  if (is('arch')) return `pacman -S ${names.other}`;
  return `install the package ${names.other}`;
}

function readOsRelease(): string {
  for (const path of ['/etc/os-release', '/usr/lib/os-release']) {
    try {
      return readFileSync(path, 'utf8');
    } catch {
      // Try the next place; without either the hint names just the package.
    }
  }
  return '';
}
