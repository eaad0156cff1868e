import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { createReadStream } from 'node:fs';
import { createGunzip, createZstdDecompress } from 'node:zlib';
import { extract } from 'tar-stream';

/**
 * What is in an image, whoever made it: each path with type, mode, owner, and a digest of the content. Times are left
 * out: they say when a tool ran.
 */
export type Contents = ReadonlyMap<string, string>;

interface Manifest {
  readonly layers: readonly { readonly digest: string; readonly mediaType: string }[];
}

/** @param archive An OCI archive (a tar) with one image. */
export async function imageContents(archive: string, dir: string): Promise<Contents> {
  const layout = mkdtempSync(join(dir, 'layout-'));
  try {
    execFileSync('tar', ['-xf', archive, '-C', layout]);
    const blob = (digest: string) => join(layout, 'blobs', digest.replace(':', '/'));
    const json = (path: string): unknown => JSON.parse(readFileSync(path, 'utf8'));
    let { digest } = (json(join(layout, 'index.json')) as { manifests: [{ digest: string }] }).manifests[0];
    for (;;) {
      const document = json(blob(digest)) as { manifests?: [{ digest: string }] } & Manifest;
      if (document.manifests === undefined) return await flatten(document, blob);
      ({ digest } = document.manifests[0]);
    }
  } finally {
    rmSync(layout, { recursive: true, force: true });
  }
}

async function flatten({ layers }: Manifest, blob: (digest: string) => string): Promise<Contents> {
  const contents = new Map<string, string>();
  for (const { digest, mediaType } of layers) {
    const unpack = extract();
    const raw = createReadStream(blob(digest));
    if (mediaType.endsWith('zstd')) raw.pipe(createZstdDecompress()).pipe(unpack);
    else if (mediaType.endsWith('gzip')) raw.pipe(createGunzip()).pipe(unpack);
    else raw.pipe(unpack);
    for await (const entry of unpack) {
      const { header } = entry;
      const path = header.name.replace(/^\.?\/*|\/+$/g, '');
      const name = path.slice(path.lastIndexOf('/') + 1);
      if (name.startsWith('.wh.')) {
        entry.resume();
        remove(contents, name === '.wh..wh..opq' ? path.slice(0, -name.length) : path.replace(/\.wh\.([^/]*)$/, '$1'));
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
      contents.set(path, what.join(' '));
    }
  }
  return contents;
}

function remove(contents: Map<string, string>, path: string): void {
  for (const known of contents.keys()) if (known === path || known.startsWith(path)) contents.delete(known);
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
