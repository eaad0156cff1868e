import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Makes a small image that can run a shell, as an OCI layout with tag `latest`; returns `path:latest`. */
export function busyboxLayout(dir: string, config: Readonly<Record<string, unknown>> = {}): string {
  const root = join(dir, 'busybox-root');
  for (const path of ['bin', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev', 'var'])
    mkdirSync(join(root, path), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync('/bin/busybox', join(root, 'bin/busybox'));
  chmodSync(join(root, 'bin/busybox'), 0o755);
  for (const applet of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (applet !== 'busybox') symlinkSync('busybox', join(root, 'bin', applet));
  }
  writeFileSync(join(root, 'etc/passwd'), 'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1000:app:/:/bin/sh\n');
  writeFileSync(join(root, 'etc/group'), 'root:x:0:\napp:x:1000:\nextra:x:2000:app\n');
  const tar = execFileSync(
    'tar',
    ['--sort=name', '--numeric-owner', '--owner=0', '--group=0', '--mtime=@1700000000', '-C', root, '-cf', '-', '.'],
    { maxBuffer: 64 << 20 },
  );
  rmSync(root, { recursive: true });
  return `${writeLayout(join(dir, 'busybox-layout'), [tar], { Env: ['PATH=/bin'], Cmd: ['sh'], ...config })}:latest`;
}

/** Writes plain tars as the layers of a one-platform image into a new OCI layout directory. */
export function writeLayout(
  layout: string,
  tars: readonly Uint8Array[],
  config: Readonly<Record<string, unknown>>,
): string {
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (data: Uint8Array) => {
    const hex = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(blobs, hex), data);
    return { digest: `sha256:${hex}`, size: data.length };
  };
  const layers = tars.map((tar) => ({
    mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
    ...put(gzipSync(tar, { level: 1 })),
  }));
  const diffIds = tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`);
  const architecture = { x64: 'amd64', arm64: 'arm64' }[process.arch as 'x64' | 'arm64'];
  const image = {
    architecture,
    os: 'linux',
    created: '2023-11-14T22:13:20Z',
    config,
    rootfs: { type: 'layers', diff_ids: diffIds },
    history: tars.map(() => ({ created_by: 'test' })),
  };
  const manifest = {
    schemaVersion: 2,
    mediaType: 'application/vnd.oci.image.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...put(Buffer.from(JSON.stringify(image))) },
    layers,
  };
  const entry = {
    mediaType: manifest.mediaType,
    ...put(Buffer.from(JSON.stringify(manifest))),
    annotations: { 'org.opencontainers.image.ref.name': 'latest' },
  };
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return layout;
}

/** What is in a layout directory's only image. */
export function readLayout(layout: string): { readonly manifest: ManifestLike; readonly config: ConfigLike } {
  const blob = (digest: string) => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: [{ digest: string }] };
  const manifest = JSON.parse(blob(index.manifests[0].digest).toString('utf8')) as ManifestLike;
  return { manifest, config: JSON.parse(blob(manifest.config.digest).toString('utf8')) as ConfigLike };
}

export interface ManifestLike {
  readonly mediaType: string;
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly mediaType: string; readonly digest: string; readonly size: number }[];
}

export interface ConfigLike {
  readonly created: string;
  readonly config: Readonly<Record<string, unknown>>;
  readonly rootfs: { readonly diff_ids: readonly string[] };
  readonly history: readonly { readonly created_by?: string; readonly empty_layer?: boolean }[];
}
