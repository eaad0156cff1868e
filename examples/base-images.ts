/**
 * Stand-ins for public base images, for machines that no public registry answers: the same names, tools, entry points
 * and environment, made from the packages of Debian and npm. Needs root, mmdebstrap, busybox-static.
 *
 *     node examples/base-images.ts DIR NAME:TAG...    makes DIR/NAME_TAG/ (OCI layouts) where they are not there yet
 */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, chmodSync, copyFileSync, existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

interface Image {
  readonly make: (root: string) => void;
  readonly config: Readonly<Record<string, unknown>>;
}

/** Seconds; every file and the images themselves are from then, so that making them again gives the same digests. */
const EPOCH = 1_700_000_000;
const PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

const IMAGES: Readonly<Record<string, Image>> = {
  'alpine:latest': { make: busybox, config: { Env: [`PATH=${PATH}`], Cmd: ['/bin/sh'] } },
  'composer:2': { make: composer, config: { Env: [`PATH=${PATH}`], WorkingDir: '/app', Cmd: ['composer'] } },
  'golang:latest': {
    make: (root) => {
      debian(root, ['ca-certificates', 'golang-go', 'git']);
      for (const dir of ['go/src', 'go/bin']) mkdirSync(join(root, dir), { recursive: true });
    },
    config: { Env: [`PATH=/go/bin:${PATH}`, 'GOPATH=/go'], WorkingDir: '/go', Cmd: ['bash'] },
  },
  'node:14': {
    make: node14,
    config: { Env: [`PATH=${PATH}`, 'NODE_VERSION=14'], Entrypoint: ['docker-entrypoint.sh'], Cmd: ['node'] },
  },
  'php:8.0-apache': {
    make: phpApache,
    config: {
      Env: [`PATH=${PATH}`],
      WorkingDir: '/var/www/html',
      Entrypoint: ['docker-php-entrypoint'],
      Cmd: ['apache2-foreground'],
      ExposedPorts: { '80/tcp': {} },
      StopSignal: 'SIGWINCH',
    },
  },
};

function run(command: string, args: readonly string[], cwd?: string): void {
  execFileSync(command, args, { stdio: ['ignore', 2, 2], cwd });
}

function script(path: string, text: string): void {
  writeFileSync(path, `#!/bin/sh\nset -e\n${text}\n`);
  chmodSync(path, 0o755);
}

function debian(root: string, packages: readonly string[]): void {
  const mirror = aptMirror();
  run('mmdebstrap', [
    '--quiet',
    '--variant=minbase',
    '--mode=root',
    '--format=directory',
    '--aptopt=Acquire::Check-Valid-Until "false"',
    ...['doc', 'man', 'locale'].map((dir) => `--dpkgopt=path-exclude=/usr/share/${dir}/*`),
    ...(packages.length === 0 ? [] : [`--include=${packages.join(',')}`]),
    'bookworm',
    root,
    ...(mirror === undefined ? [] : [mirror]),
  ]);
  for (const file of ['etc/resolv.conf', 'etc/hostname']) rmSync(join(root, file), { force: true });
  rmSync(join(root, 'dev'), { recursive: true, force: true });
  mkdirSync(join(root, 'dev'));
  // The same certificate authorities as this machine: a RUN reaches what this machine reaches.
  mkdirSync(join(root, 'etc/ssl/certs'), { recursive: true });
  if (existsSync('/etc/ssl/certs/ca-certificates.crt')) copyFileSync('/etc/ssl/certs/ca-certificates.crt', join(root, 'etc/ssl/certs/ca-certificates.crt'));
}

/** The machine's own Debian mirror; mmdebstrap knows the public one itself. */
function aptMirror(): string | undefined {
  const sources = ['/etc/apt/sources.list.d/debian.sources', '/etc/apt/sources.list'].filter((file) => existsSync(file));
  for (const file of sources) {
    const line = readFileSync(file, 'utf8').match(/^(?:URIs:|deb(?: \[[^\]]*\])?)\s+(\S+debian\S*)/m);
    if (line?.[1] !== undefined) return line[1];
  }
  return undefined;
}

function busybox(root: string): void {
  const dirs = ['bin', 'sbin', 'usr/bin', 'usr/sbin', 'usr/local/bin', 'etc', 'home', 'proc', 'sys', 'dev', 'lib', 'run', 'var/tmp', 'tmp', 'root'];
  for (const dir of dirs) mkdirSync(join(root, dir), { recursive: true });
  for (const dir of ['tmp', 'var/tmp']) chmodSync(join(root, dir), 0o1777);
  chmodSync(join(root, 'root'), 0o700);
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  const applets = execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n');
  for (const applet of applets) if (applet !== 'busybox') symlinkSync('/bin/busybox', join(root, 'bin', applet));
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\nnobody:x:65534:65534:nobody:/:/bin/false\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\nnobody:x:65534:\n');
}

function composer(root: string): void {
  busybox(root);
  const work = mkdtempSync('/var/tmp/base-images-');
  try {
    run('apt-get', ['download', '-qq', 'composer'], work);
    run('dpkg-deb', ['-x', readdirSync(work).find((file) => file.endsWith('.deb')) ?? '', 'package'], work);
    copyFileSync(join(work, 'package/usr/bin/composer'), join(root, 'usr/bin/composer'));
  } finally {
    rmSync(work, { recursive: true });
  }
  chmodSync(join(root, 'usr/bin/composer'), 0o755);
}

function npmPackage(spec: string, into: string): void {
  const work = mkdtempSync('/var/tmp/base-images-');
  try {
    run('npm', ['pack', '--silent', spec], work);
    mkdirSync(into, { recursive: true });
    run('tar', ['-xzf', join(work, readdirSync(work)[0] ?? ''), '--strip-components=1', '--no-same-owner', '-C', into]);
  } finally {
    rmSync(work, { recursive: true });
  }
}

function node14(root: string): void {
  debian(root, ['ca-certificates', 'python3', 'make', 'g++', 'git']);
  const local = join(root, 'usr/local');
  npmPackage(`node-linux-${process.arch}@14`, local);
  if (!existsSync(join(local, 'lib/node_modules/npm'))) {
    npmPackage('npm@6', join(local, 'lib/node_modules/npm'));
    for (const name of ['npm', 'npx']) symlinkSync(`../lib/node_modules/npm/bin/${name}-cli.js`, join(local, 'bin', name));
  }
  mkdirSync(join(local, 'etc'), { recursive: true });
  // Native packages build against the headers that came with Node instead of fetching them.
  writeFileSync(join(local, 'etc/npmrc'), 'cafile=/etc/ssl/certs/ca-certificates.crt\nnodedir=/usr/local\nunsafe-perm=true\nupdate-notifier=false\n');
  script(join(local, 'bin/docker-entrypoint.sh'), 'if [ "${1#-}" != "$1" ] || [ -z "$(command -v "$1")" ]; then set -- node "$@"; fi\nexec "$@"');
}

function phpApache(root: string): void {
  debian(root, ['ca-certificates', 'apache2', 'libapache2-mod-php', 'php-cli', 'composer', 'unzip']);
  // The libraries of composer stay, the program comes with COPY --from=composer:2.
  rmSync(join(root, 'usr/bin/composer'));
  rmSync(join(root, 'var/www/html'), { recursive: true });
  mkdirSync(join(root, 'var/www/html'));
  const bin = join(root, 'usr/local/bin');
  script(join(bin, 'apache2-foreground'), '. /etc/apache2/envvars\nmkdir -p "$APACHE_RUN_DIR" "$APACHE_LOCK_DIR" "$APACHE_LOG_DIR"\nrm -f "$APACHE_PID_FILE"\nexec apache2 -DFOREGROUND "$@"');
  script(join(bin, 'docker-php-entrypoint'), 'if [ "${1#-}" != "$1" ]; then set -- apache2-foreground "$@"; fi\nexec "$@"');
}

function sha256(data: Uint8Array): string {
  return createHash('sha256').update(data).digest('hex');
}

function writeLayout(root: string, image: Image, layout: string, tag: string): void {
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const tar = join(layout, 'layer.tar');
  run('tar', ['--sort=name', '--numeric-owner', `--mtime=@${EPOCH}`, '--format=posix', '--pax-option=exthdr.name=%d/PaxHeaders/%f,delete=atime,delete=ctime', '-C', root, '-cf', tar, '.']);
  const diffId = execFileSync('sha256sum', [tar], { encoding: 'utf8' }).slice(0, 64);
  run('gzip', ['-n', '-4', tar]);
  const layerDigest = execFileSync('sha256sum', [`${tar}.gz`], { encoding: 'utf8' }).slice(0, 64);
  renameSync(`${tar}.gz`, join(blobs, layerDigest));
  const put = (document: unknown) => {
    const data = Buffer.from(JSON.stringify(document));
    writeFileSync(join(blobs, sha256(data)), data);
    return { digest: `sha256:${sha256(data)}`, size: data.length };
  };
  const size = Number(execFileSync('stat', ['-c', '%s', join(blobs, layerDigest)], { encoding: 'utf8' }));
  const created = new Date(EPOCH * 1000).toISOString();
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64'];
  const config = put({ created, architecture, os: 'linux', config: image.config, rootfs: { type: 'layers', diff_ids: [`sha256:${diffId}`] }, history: [{ created, created_by: 'base-images' }] });
  const manifestType = 'application/vnd.oci.image.manifest.v1+json';
  const manifest = put({
    schemaVersion: 2,
    mediaType: manifestType,
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...config },
    layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip', digest: `sha256:${layerDigest}`, size }],
  });
  const entry = { mediaType: manifestType, ...manifest, platform: { os: 'linux', architecture }, annotations: { 'org.opencontainers.image.ref.name': tag } };
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
}

function main([directory, ...names]: readonly string[]): void {
  if (directory === undefined || names.length === 0) throw new Error('usage: base-images.ts DIR NAME:TAG...');
  for (const name of names) {
    const image = IMAGES[name];
    if (image === undefined) throw new Error(`no stand-in for ${name}; there are ${Object.keys(IMAGES).join(', ')}`);
    const [repository = '', tag = ''] = name.split(':');
    const layout = join(directory, `${repository}_${tag}`);
    if (existsSync(join(layout, 'index.json'))) continue;
    appendFileSync(2, `making a stand-in for ${name}\n`);
    const root = mkdtempSync('/var/tmp/base-images-');
    chmodSync(root, 0o755);
    try {
      image.make(root);
      rmSync(layout, { recursive: true, force: true });
      writeLayout(root, image, layout, tag);
    } finally {
      rmSync(root, { recursive: true, force: true });
    }
  }
}

main(process.argv.slice(2));
