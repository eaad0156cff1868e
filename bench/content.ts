import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { createReadStream, mkdtempSync, rmSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract } from 'tar-stream';

/**
 * What is in an image, whoever made it: each path with type, mode, owner, and a digest of the content, and what its config
 * tells a runtime. Times are left out: they say when a tool ran.
 */
export type Contents = ReadonlyMap<string, string>;

interface Manifest {
  readonly config: { readonly digest: string };
  readonly layers: readonly { readonly digest: string; readonly mediaType: string }[];
}

/** Where an image is read from. */
interface Blobs {
  document(digest: string): Promise<unknown>;
  blob(digest: string): Promise<Readable>;
}

/** @param archive An OCI archive (a tar) with one image. */
export async function imageContents(archive: string, dir: string): Promise<Contents> {
  const layout = mkdtempSync(join(dir, 'layout-'));
  try {
    execFileSync('tar', ['-xf', archive, '-C', layout]);
    const file = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
    const json = async (path: string): Promise<unknown> => JSON.parse(await readFile(path, 'utf8'));
    const { manifests } = (await json(join(layout, 'index.json'))) as { manifests: [{ digest: string }] };
    return await contentsOf(manifests[0].digest, {
      document: (digest) => json(file(digest)),
      blob: (digest) => Promise.resolve(createReadStream(file(digest))),
    });
  } finally {
    rmSync(layout, { recursive: true, force: true });
  }
}

const MANIFESTS = [
  'application/vnd.oci.image.index.v1+json',
  'application/vnd.oci.image.manifest.v1+json',
  'application/vnd.docker.distribution.manifest.list.v2+json',
  'application/vnd.docker.distribution.manifest.v2+json',
].join(', ');

/** @param name `HOST:PORT/name:tag` at a registry that speaks plain http. */
export async function pushedContents(name: string): Promise<Contents> {
  const { base, tag } = endpointOf(name);
  return contentsOf(tag, {
    document: async (digest) => (await get(`${base}/manifests/${digest}`)).json(),
    blob: async (digest) => {
      const { body } = await get(`${base}/blobs/${digest}`);
      // Node's own type of the same stream.
      return Readable.fromWeb(body as ReadableStream);
    },
  });
}

/** The layers of an image at the registry, lowest first: where each of them can be fetched. */
export async function layerUrls(name: string): Promise<readonly string[]> {
  const { base, tag } = endpointOf(name);
  let document = (await (await get(`${base}/manifests/${tag}`)).json()) as {
    manifests?: [{ digest: string }];
  } & Manifest;
  if (document.manifests !== undefined) {
    document = (await (await get(`${base}/manifests/${document.manifests[0].digest}`)).json()) as Manifest;
  }
  return document.layers.map(({ digest }) => `${base}/blobs/${digest}`);
}

function endpointOf(name: string): { readonly base: string; readonly tag: string } {
  const [, host = '', repository = '', tag = ''] = /^([^/]+)\/(.+):([^:/]+)$/.exec(name) ?? [];
  return { base: `http://${host}/v2/${repository}`, tag };
}

async function get(url: string): Promise<Response> {
  const response = await fetch(url, { headers: { accept: MANIFESTS } });
  if (!response.ok) throw new Error(`${url} answers ${response.status}`);
  return response;
}

async function contentsOf(root: string, blobs: Blobs): Promise<Contents> {
  for (let digest = root; ;) {
    const document = (await blobs.document(digest)) as { manifests?: [{ digest: string }] } & Manifest;
    if (document.manifests === undefined) {
      const contents = await flatten(document, blobs);
      const config = await json(await blobs.blob(document.config.digest));
      return contents.set(CONFIG, runtimeConfig(config as ImageConfig));
    }
    ({ digest } = document.manifests[0]);
  }
}

async function json(stream: Readable): Promise<unknown> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk as Buffer);
  return JSON.parse(Buffer.concat(chunks).toString('utf8'));
}

/** No path in an image. */
const CONFIG = '(config)';

interface ImageConfig {
  readonly architecture?: string;
  readonly os?: string;
  readonly config?: Readonly<Record<string, unknown>>;
}

const FIELDS = ['User', 'Env', 'Entrypoint', 'Cmd', 'WorkingDir', 'ExposedPorts', 'Volumes', 'StopSignal', 'Labels'];

/** Absent and empty are the same; a label with which a tool signs is not what was built. */
function runtimeConfig({ architecture, os, config = {} }: ImageConfig): string {
  const isEmpty = (value: unknown) =>
    value === undefined ||
    value === null ||
    value === '' ||
    (typeof value === 'object' && Object.keys(value).length === 0);
  const fields = FIELDS.map((field): [string, unknown] => {
    const value = config[field];
    if (field !== 'Labels' || isEmpty(value)) return [field, value];
    const labels = Object.entries(value as Record<string, string>);
    return [field, Object.fromEntries(labels.filter(([name]) => name !== 'io.buildah.version').sort())];
  });
  return JSON.stringify([os, architecture, ...fields.filter(([, value]) => !isEmpty(value))]);
}

async function flatten({ layers }: Manifest, blobs: Blobs): Promise<Map<string, string>> {
  let contents = new Map<string, string>();
  for (const { digest, mediaType } of layers) {
    const unpack = extract();
    const raw = await blobs.blob(digest);
    const fail = (error: Error) => {
      unpack.destroy(error);
    };
    raw.on('error', fail);
    const inflate = mediaType.endsWith('zstd')
      ? createZstdDecompress()
      : mediaType.endsWith('gzip')
        ? createGunzip()
        : undefined;
    if (inflate === undefined) raw.pipe(unpack);
    else raw.pipe(inflate).on('error', fail).pipe(unpack);
    const added = new Map<string, string>();
    const removed: string[] = [];
    for await (const entry of unpack) {
      const { header } = entry;
      const path = header.name.replace(/^\.?\/*|\/+$/g, '');
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (name.startsWith('.wh.')) {
        entry.resume();
        const parent = path.slice(0, -name.length);
        // Of an opaque directory what is below it, of another whiteout the path too.
        removed.push(name === '.wh..wh..opq' ? parent : `${parent}${name.slice('.wh.'.length)}`);
        continue;
      }
      const hash = createHash('sha256');
      for await (const chunk of entry) hash.update(chunk as Buffer);
      const { type, mode, uid, gid, linkname } = header;
      // Some write the type into the mode.
      const what = [
        type,
        (mode & 0o7777).toString(8),
        uid,
        gid,
        (linkname as string | null | undefined)?.replace(/^\/+/, ''),
        hash.digest('hex'),
      ];
      added.set(path, what.join(' '));
    }
    // Whiteouts are of what lies below, wherever they stand in the layer.
    contents = new Map([...without(contents, removed), ...added]);
  }
  return contents;
}

function without(contents: ReadonlyMap<string, string>, removed: readonly string[]): ReadonlyMap<string, string> {
  if (removed.length === 0) return contents;
  const isGone = (path: string) =>
    removed.some((gone) => path === gone || path.startsWith(gone === '' || gone.endsWith('/') ? gone : `${gone}/`));
  return new Map([...contents].filter(([path]) => !isGone(path)));
}

/** Files that one of two images has, or has otherwise; directories aside, which tools make along the way. */
export function differences(a: Contents, b: Contents): readonly string[] {
  const different: string[] = [];
  for (const path of new Set([...a.keys(), ...b.keys()])) {
    const [left, right] = [a.get(path), b.get(path)];
    const isDirectory = (left ?? right)?.startsWith('directory') === true;
    if (left !== right && !(isDirectory && (left === undefined || right === undefined))) different.push(path);
  }
  return different;
}
