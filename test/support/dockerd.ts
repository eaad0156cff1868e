/**
 * A real dockerd with its BuildKit, of Debian's own packages in a root of their own: `sid` for today's, `bookworm` for
 * the 20.10 that many still run. The root is made once (a minute) and kept in {@link CACHE}; a daemon starts in two
 * seconds, in a mount namespace of its own, with its state in the test's directory. It has no container network: build with
 * `--network host`.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { closeSync, existsSync, mkdirSync, openSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { request } from 'node:http';
import { join } from 'node:path';

export type DockerRelease = 'sid' | 'bookworm';

export interface Dockerd {
  /** For DOCKER_HOST. */
  readonly host: string;
  /** Runs the docker command against it. */
  docker(...args: readonly string[]): string;
  /** `kill -9`, as an accident would. */
  kill(): Promise<void>;
  stop(): Promise<void>;
}

/** Where what is made once for all tests is kept. */
export const CACHE = process.env['SLIPWAY_TEST_CACHE'] ?? '/var/tmp/slipway-test-roots';
const PACKAGES: Readonly<Record<DockerRelease, readonly string[]>> = {
  sid: ['docker.io', 'docker-cli', 'runc', 'git', 'ca-certificates'],
  bookworm: ['docker.io', 'runc', 'ca-certificates'],
};

/** What the kernel or the user lacks for a daemon of containers; undefined = nothing. */
export function dockerdLacks(): string | undefined {
  if (process.getuid?.() !== 0) return 'root';
  if (!readFileSync('/proc/filesystems', 'utf8').includes('overlay')) return 'overlayfs in this kernel';
  if (spawnSync('unshare', ['--mount', 'true']).status !== 0) return 'mount namespaces in this kernel';
  return undefined;
}

/** @param dir For the daemon's state; on a file system that takes overlay's upper directories. */
export async function startDockerd(dir: string, release: DockerRelease = 'sid'): Promise<Dockerd> {
  const root = makeRoot(release);
  const run = join(dir, 'run');
  mkdirSync(run, { recursive: true });
  const socket = join(run, 'docker.sock');
  const log = openSync(join(dir, 'dockerd.log'), 'a');
  const config = join(dir, 'daemon.json');
  writeFileSync(config, JSON.stringify({ builder: { Entitlements: { 'security-insecure': true } } }));
  const args = [
    'dockerd',
    // Older ones do not know the word.
    ...(release === 'sid' ? [`--config-file=${config}`] : []),
    `--data-root=${join(dir, 'data')}`,
    `--exec-root=${join(run, 'exec')}`,
    `--pidfile=${join(run, 'dockerd.pid')}`,
    `--host=unix://${socket}`,
    '--group=root',
    '--bridge=none',
    '--iptables=false',
    '--ip6tables=false',
    ...(release === 'sid' ? ['--feature=containerd-snapshotter=true'] : ['--storage-driver=overlay2']),
  ];
  const child = spawn('sh', ['-c', ENTER, 'sh', root, dir, ...args], { stdio: ['ignore', log, log], detached: true });
  closeSync(log);
  const exited = new Promise<void>((resolve) => child.on('exit', () => resolve()));
  for (let i = 0; !(await answers(socket)); i++) {
    if (child.exitCode !== null || i > 300) {
      const said = readFileSync(join(dir, 'dockerd.log'), 'utf8').trim().split('\n').slice(-5).join('\n');
      throw new Error(`dockerd (${release}) does not start:\n${said}`);
    }
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  const end = async (signal: NodeJS.Signals): Promise<void> => {
    if (child.exitCode === null && child.signalCode === null) child.kill(signal);
    await exited;
    // What it started is in its process group.
    if (child.pid !== undefined) {
      try {
        process.kill(-child.pid, 'SIGKILL');
      } catch {
        // Nothing was left.
      }
    }
  };
  return {
    host: `unix://${socket}`,
    docker: (...words) =>
      execFileSync('sh', ['-c', ENTER, 'sh', root, dir, 'docker', '--host', `unix://${socket}`, ...words], {
        encoding: 'utf8',
      }),
    kill: async () => await end('SIGKILL'),
    stop: async () => await end('SIGTERM'),
  };
}

/** $1 the root, $2 the daemon's directory, then the program. The pid stays the same: unshare and chroot only exec. */
const ENTER = `exec unshare --mount --propagation private sh -c '
  root=$1 dir=$2; shift 2
  umount -l /sys/fs/cgroup/unified 2>/dev/null
  mount --rbind "$root" "$root"
  mount -t proc proc "$root/proc"; mount --rbind /sys "$root/sys"; mount --rbind /dev "$root/dev"; mount -t tmpfs tmpfs "$root/run"
  for d in /tmp /var/tmp "$dir"; do mkdir -p "$root$d"; mount --rbind "$d" "$root$d"; done
  exec chroot "$root" "$@"' sh "$@"`;

/** Made under a lock, as test files run side by side; a root that was not finished is made anew. */
function makeRoot(release: DockerRelease): string {
  const packages = PACKAGES[release].join(',');
  // Other packages make another root: tests of another version may be running in this one.
  const root = join(CACHE, `${release}-${createHash('sha256').update(packages).digest('hex').slice(0, 8)}`);
  const made = `${root}.made`;
  if (existsSync(made)) return root;
  mkdirSync(CACHE, { recursive: true });
  const script = `[ -e "$3" ] && exit 0; rm -rf "$1"; mmdebstrap --quiet --variant=minbase --mode=root \
    --aptopt='Acquire::Check-Valid-Until "false"' --include="$4" "$2" "$1" "$5"`;
  const words = [root, release, made, packages, debianMirror()];
  const result = spawnSync('flock', [`${root}.lock`, 'sh', '-c', script, 'sh', ...words], { encoding: 'utf8' });
  if (result.status !== 0) {
    rmSync(root, { recursive: true, force: true });
    throw new Error(`no root for dockerd (${release}): ${result.stderr.trim().split('\n').slice(-3).join('\n')}`);
  }
  writeFileSync(made, '');
  return root;
}

/** The one that this machine's own packages come from. */
export function debianMirror(): string {
  const given = process.env['SLIPWAY_TEST_DEBIAN_MIRROR'];
  if (given !== undefined) return given;
  for (const file of ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list']) {
    if (!existsSync(file)) continue;
    const found = /^(?:URIs:\s*|deb\s+(?:\[[^\]]*\]\s*)?)(https?:\S+)/m.exec(readFileSync(file, 'utf8'))?.[1];
    if (found !== undefined) return found;
  }
  return 'http://deb.debian.org/debian';
}

async function answers(socketPath: string): Promise<boolean> {
  if (!existsSync(socketPath)) return false;
  return await new Promise((resolve) => {
    const ping = request({ socketPath, path: '/_ping' }, (response) => {
      response.resume();
      resolve(response.statusCode === 200);
    });
    ping.on('error', () => resolve(false));
    ping.setTimeout(2000, () => ping.destroy());
    ping.end();
  });
}
