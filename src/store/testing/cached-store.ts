/** Puts into a store what builds leave there: layers with trees and directories, records, images. */
import { createHash } from 'node:crypto';
import { mkdirSync, statSync, writeFileSync } from 'node:fs';
import type { Digest, LayerId, Tree } from '../../contracts/index.ts';
import type { Store } from '../types.ts';

export function digest(text: string): Digest {
  return `sha256:${createHash('sha256').update(text).digest('hex')}`;
}

/** A layer with one file, `name`, of the given size; whole in its directory and as a tree. */
export async function addLayer(store: Store, name: string, size = 5000): Promise<LayerId> {
  const id = store.newLayer();
  const directory = store.layerDir(id);
  mkdirSync(directory, { recursive: true });
  writeFileSync(`${directory}/${name}`, Buffer.alloc(size, name), { mode: 0o644 });
  const { mtime, mtimeNsec } = timesOf(`${directory}/${name}`);
  const tree: Tree = new Map([[name, { type: 'file', mode: 0o644, uid: uid(), gid: gid(), mtime, mtimeNsec, size }]]);
  await store.writeTree(id, tree);
  store.saveLayer(id, { dir: true, size });
  return id;
}

/** Packs it: any bytes stand for its tar. */
export async function addBlob(store: Store, id: LayerId, text: string, repository?: string): Promise<Digest> {
  const data = Buffer.from(text.repeat(100));
  const { digest: blob, size } = await store.putBlob(data);
  const mediaType = 'application/vnd.oci.image.layer.v1.tar+gzip';
  const compressor = repository === undefined ? 'test' : undefined;
  const facts = { mediaType, digest: blob, size, diffId: digest(`diff ${text}`), compressor, repository };
  store.saveLayer(id, { diffId: facts.diffId, blob: facts });
  return blob;
}

export async function addImage(
  store: Store,
  name: string,
  layers: readonly { blob: Digest; diffId: Digest }[],
  origin: 'build' | 'pull' = 'build',
): Promise<Digest> {
  const config = await put(store, { rootfs: { type: 'layers', diff_ids: layers.map(({ diffId }) => diffId) }, name });
  const manifest = await put(store, {
    schemaVersion: 2,
    config: { digest: config },
    layers: layers.map(({ blob }) => ({ digest: blob, size: 1 })),
  });
  store.saveImage({ name, digest: manifest, mediaType: 'm', created: Date.now(), origin });
  return manifest;
}

async function put(store: Store, document: unknown): Promise<Digest> {
  return (await store.putBlob(Buffer.from(JSON.stringify(document)))).digest;
}

export function addRecord(
  store: Store,
  key: string,
  layers: readonly LayerId[],
  parents: readonly string[] = [],
): void {
  store.saveRecord({ key, outputs: [layers], created: Date.now(), description: key, inputs: '{}', parents });
  store.aliasRecord(`alias of ${key}`, key);
}

function timesOf(path: string): { readonly mtime: number; readonly mtimeNsec: number } {
  const { mtimeNs } = statSync(path, { bigint: true });
  return { mtime: Number(mtimeNs / 1_000_000_000n), mtimeNsec: Number(mtimeNs % 1_000_000_000n) };
}

const uid = (): number => process.getuid?.() ?? 0;
const gid = (): number => process.getgid?.() ?? 0;
