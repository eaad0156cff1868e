/** What is in an image, in a form that two engines' images can be compared by: the merged files, the config. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { extract } from 'tar-stream';

export interface ImageContent {
  /** Path to a line that says all of the entry; times only where they are older than an hour. */
  readonly files: Readonly<Record<string, string>>;
  readonly config: Readonly<Record<string, unknown>>;
  readonly history: readonly string[];
  readonly platform: string;
  readonly layers: number;
}

interface Descriptor {
  readonly mediaType: string;
  readonly digest: string;
  readonly platform?: { readonly os: string; readonly architecture: string };
}

const HOUR = 3600_000;

/** Of every platform in an OCI layout directory. */
export async function imageContents(layout: string): Promise<readonly ImageContent[]> {
  const read = (digest: string): Buffer => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const json = (digest: string): Record<string, unknown> =>
    JSON.parse(read(digest).toString('utf8')) as Record<string, unknown>;
  const { manifests } = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: Descriptor[] };
  const flat = (list: readonly Descriptor[]): readonly Descriptor[] =>
    list.flatMap((entry) =>
      entry.mediaType.includes('index') ? flat(json(entry.digest)['manifests'] as Descriptor[]) : [entry],
    );
  const contents: ImageContent[] = [];
  for (const { digest } of new Map(flat(manifests).map((entry) => [entry.digest, entry])).values()) {
    const manifest = json(digest) as unknown as {
      readonly config: Descriptor;
      readonly layers: readonly Descriptor[] | null;
    };
    const config = json(manifest.config.digest);
    const files = new Map<string, string>();
    for (const layer of manifest.layers ?? []) await applyLayer(read(layer.digest), layer.mediaType, files);
    contents.push({
      files: Object.fromEntries([...files].sort(([a], [b]) => (a < b ? -1 : 1))),
      config: {
        ...(config['config'] as Record<string, unknown>),
        ...(typeof config['author'] === 'string' && { author: config['author'] }),
      },
      history: ((config['history'] ?? []) as { created_by?: string; empty_layer?: boolean }[]).map(
        ({ created_by: by = '', empty_layer: empty = false }) => `${empty ? 'empty' : 'layer'} ${by}`,
      ),
      platform: `${String(config['os'])}/${String(config['architecture'])}`,
      layers: manifest.layers?.length ?? 0,
    });
  }
  return contents;
}

async function applyLayer(blob: Buffer, mediaType: string, files: Map<string, string>): Promise<void> {
  const tar = mediaType.endsWith('gzip')
    ? gunzipSync(blob)
    : mediaType.endsWith('zstd')
      ? zstdDecompressSync(blob)
      : blob;
  const reader = extract();
  reader.end(tar);
  const added = new Map<string, string>();
  for await (const entry of reader) {
    const { name, ...header } = entry.header;
    const hash = createHash('sha256');
    for await (const chunk of entry) hash.update(chunk as Buffer);
    const path = name.replace(/^\.?\/+/, '').replace(/\/+$/, '');
    if (path === '' || path === '.') continue;
    const base = path.slice(path.lastIndexOf('/') + 1);
    const directory = path.slice(0, Math.max(path.lastIndexOf('/'), 0));
    if (base === '.wh..wh..opq') remove(files, directory, false);
    else if (base.startsWith('.wh.')) remove(files, join(directory, base.slice(4)), true);
    else added.set(path, describe(header, hash.digest('hex').slice(0, 12)));
  }
  for (const [path, line] of added) {
    if (!line.startsWith('directory')) remove(files, path, true);
    files.set(path, line);
  }
}

function remove(files: Map<string, string>, path: string, itself: boolean): void {
  for (const other of [...files.keys()]) {
    if ((itself && other === path) || other.startsWith(`${path}/`) || path === '') files.delete(other);
  }
}

interface Entry {
  readonly type: string;
  readonly mode?: number;
  readonly uid?: number;
  readonly gid?: number;
  readonly linkname?: string | null;
  readonly mtime?: Date;
  readonly size?: number;
  readonly devmajor?: number;
  readonly devminor?: number;
  readonly pax?: unknown;
}

const XATTR = 'SCHILY.xattr.';

function describe(header: Entry, digest: string): string {
  const { type, mode = 0, uid = 0, gid = 0, linkname, mtime, size = 0, devmajor, devminor, pax } = header;
  const xattrs = Object.entries((pax ?? {}) as Readonly<Record<string, string>>).filter(([key]) =>
    key.startsWith(XATTR),
  );
  const old = mtime !== undefined && Date.now() - mtime.getTime() > HOUR && type === 'file';
  return [
    type,
    mode.toString(8).padStart(4, '0'),
    `${uid}:${gid}`,
    ...(type === 'file' ? [`${size}`, digest] : []),
    ...(type === 'symlink' || type === 'link' ? [`-> ${linkname ?? ''}`] : []),
    ...(type === 'character-device' || type === 'block-device' ? [`${devmajor ?? 0},${devminor ?? 0}`] : []),
    ...xattrs.map(([key, value]) => `${key.slice(XATTR.length)}=${Buffer.from(value).toString('hex')}`).sort(),
    ...(old ? [mtime.toISOString()] : []),
  ].join(' ');
}
