import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { copyFileSync, mkdirSync, readFileSync, rmSync, symlinkSync, writeFileSync, chmodSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';

/** Makes a small image that can run a shell, as an OCI layout with tag `latest`; returns `path:latest`. */
export function busyboxLayout(dir: string, config: Readonly<Record<string, unknown>> = {}): string {
  const layout = join(dir, 'busybox-layout');
  return `${writeLayout(layout, [busyboxTar(dir)], { Env: ['PATH=/bin'], Cmd: ['sh'], ...config })}:latest`;
}

/** The files of that image. @param program A static busybox; by default this machine's. */
export function busyboxTar(dir: string, program = '/bin/busybox'): Buffer {
  const root = join(dir, 'busybox-root');
  for (const path of ['bin', 'etc', 'tmp', 'root', 'proc', 'sys', 'dev', 'var'])
    mkdirSync(join(root, path), { recursive: true });
  chmodSync(join(root, 'tmp'), 0o1777);
  copyFileSync(program, join(root, 'bin/busybox'));
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
  return tar;
}

/** The image of one platform. Plain tars as layers, bottom to top. */
export interface TestImage {
  readonly tars: readonly Uint8Array[];
  readonly config: Readonly<Record<string, unknown>>;
  /** Default: this machine's. */
  readonly architecture?: string;
  readonly variant?: string;
}

/** Writes plain tars as the layers of a one-platform image into a new OCI layout directory. */
export function writeLayout(
  layout: string,
  tars: readonly Uint8Array[],
  config: Readonly<Record<string, unknown>>,
): string {
  return writeImages(layout, [{ tars, config }]);
}

/** Writes an image into a new OCI layout directory, tagged `latest`: of one platform, or of several an index. */
export function writeImages(layout: string, images: readonly TestImage[]): string {
  const blobs = join(layout, 'blobs/sha256');
  mkdirSync(blobs, { recursive: true });
  const put = (data: Uint8Array) => {
    const hex = createHash('sha256').update(data).digest('hex');
    writeFileSync(join(blobs, hex), data);
    return { digest: `sha256:${hex}`, size: data.length };
  };
  const putJson = (value: unknown) => put(Buffer.from(JSON.stringify(value)));
  const manifests = images.map(({ tars, config, architecture = HOST_ARCHITECTURE, variant }) => {
    const layers = tars.map((tar) => ({
      mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip',
      ...put(gzipSync(tar, { level: 1 })),
    }));
    const platform = { architecture, os: 'linux', variant };
    const image = {
      ...platform,
      created: '2023-11-14T22:13:20Z',
      config,
      rootfs: {
        type: 'layers',
        diff_ids: tars.map((tar) => `sha256:${createHash('sha256').update(tar).digest('hex')}`),
      },
      history: tars.map(() => ({ created_by: 'test' })),
    };
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: { mediaType: 'application/vnd.oci.image.config.v1+json', ...putJson(image) },
      layers,
    };
    return { mediaType: manifest.mediaType, ...putJson(manifest), platform };
  });
  const mediaType = 'application/vnd.oci.image.index.v1+json';
  const [only] = manifests;
  const root =
    only !== undefined && manifests.length === 1
      ? { mediaType: only.mediaType, digest: only.digest, size: only.size }
      : { mediaType, ...putJson({ schemaVersion: 2, mediaType, manifests }) };
  const entry = { ...root, annotations: { 'org.opencontainers.image.ref.name': 'latest' } };
  writeFileSync(join(layout, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [entry] }));
  writeFileSync(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
  return layout;
}

const HOST_ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';

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
