/** Whether the state directory is what its database says: for people who doubt, and for tests that kill. */
import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Digest, LayerId, Tree } from '../contracts/index.ts';
import { digestOfFile } from './content.ts';
import type { Database } from './database.ts';
import { HELD } from './holds.ts';
import type { StoreLayout } from './layout.ts';
import { readLeases } from './lease.ts';
import { decodeOutputs } from './record-outputs.ts';
import { decodeTree } from './tree-codec.ts';
import type { StoreProblem, VerifyReport } from './types.ts';
import { names } from './usage-disk.ts';
import { directoryMatchesTree } from './verify-layer.ts';

/** Reads the database in one view; what runs at the same time may look like a problem only in what it has not written yet. */
export async function verifyStore(layout: StoreLayout, db: Database, deep: boolean): Promise<VerifyReport> {
  const problems: StoreProblem[] = [];
  const leftovers: string[] = [];
  const say = (subject: string, problem: string): void => void problems.push({ subject, problem });
  const condemned = new Set(
    db.all('SELECT kind, id FROM condemned').map((row) => `${String(row['kind'])}/${String(row['id'])}`),
  );
  for (const key of condemned) leftovers.push(`condemned ${key}`);
  const isCondemned = (kind: string, id: string): boolean => condemned.has(`${kind}/${id}`);
  const held = readLeases(layout.root);

  const layers = new Set<LayerId>();
  for (const row of db.all('SELECT id, dir FROM layer')) {
    const id = String(row['id']);
    layers.add(id);
    if (isCondemned('layer', id)) continue;
    const tree = readTree(layout, id);
    if (tree === 'damaged') say(`layer ${id}`, 'its tree cannot be read');
    if (row['dir'] !== 1 || isCondemned('dir', id)) continue;
    if (!existsSync(layout.layerDir(id))) say(`layer ${id}`, 'its directory is gone');
    else if (tree === undefined) say(`layer ${id}`, 'its directory has no tree');
    else if (deep && tree !== 'damaged' && !directoryMatchesTree(layout.layerDir(id), tree)) {
      say(`layer ${id}`, 'its directory is not what its tree says');
    }
  }
  for (const id of names(layout.layers)) {
    const isUnfinished = held.blocks.has(id.slice(0, -3)) || held.lines.has(HELD.layer(id));
    if (!layers.has(id) && !isUnfinished) leftovers.push(`layer ${id}`);
  }

  let blobs = 0;
  const known = new Set<string>();
  for (const row of db.all('SELECT digest, size FROM blob')) {
    const digest = String(row['digest']) as Digest;
    known.add(digest.slice(7));
    if (isCondemned('blob', digest)) continue;
    blobs++;
    const problem = blobProblem(layout.blobPath(digest), digest, Number(row['size']), deep);
    if (problem !== undefined) say(`blob ${digest}`, problem);
  }
  for (const hex of names(layout.blobs)) {
    if (!known.has(hex) && !held.lines.has(`b${hex}`)) leftovers.push(`blob sha256:${hex}`);
  }

  const records = db.all('SELECT key, description, outputs FROM record');
  for (const row of records) {
    for (const id of decodeOutputs(row['outputs']).flat()) {
      if (!layers.has(id)) say(`step ${String(row['description'])}`, `layer ${id} is gone`);
      else if (isCondemned('layer', id)) leftovers.push(`step ${String(row['description'])}`);
    }
  }
  const images = db.all(`SELECT name, digest FROM image WHERE origin != 'pull'`);
  for (const row of images) {
    for (const problem of imageProblems(layout, db, String(row['digest']) as Digest))
      say(`image ${String(row['name'])}`, problem);
  }
  for (const name of names(layout.temp)) {
    if (/^(?:files|trash)-/.test(name)) leftovers.push(`tmp/${name}`);
  }
  return { problems, leftovers, layers: layers.size, blobs, records: records.length, images: images.length };
}

function readTree(layout: StoreLayout, id: LayerId): Tree | 'damaged' | undefined {
  let data: Uint8Array;
  try {
    data = readFileSync(layout.treePath(id));
  } catch {
    return undefined;
  }
  try {
    return decodeTree(data);
  } catch {
    return 'damaged';
  }
}

function blobProblem(path: string, digest: Digest, size: number, deep: boolean): string | undefined {
  const stat = statSync(path, { throwIfNoEntry: false });
  if (stat === undefined) return 'is gone';
  if (stat.size !== size) return `has ${stat.size} bytes instead of ${size}`;
  return deep && digestOfFile(path)?.digest !== digest ? 'has another content than its digest says' : undefined;
}

interface ManifestLike {
  readonly manifests?: readonly { readonly digest: Digest }[];
  readonly config?: { readonly digest: Digest };
  readonly layers?: readonly { readonly digest: Digest }[];
}

/** An image is whole when its documents are here, and each layer in some form or known to be in a registry. */
function* imageProblems(
  layout: StoreLayout,
  db: Database,
  digest: Digest,
  isOptional = false,
): Generator<string, void> {
  let manifest: ManifestLike;
  try {
    manifest = JSON.parse(readFileSync(layout.blobPath(digest), 'utf8')) as ManifestLike;
  } catch {
    if (!isOptional) yield `its manifest ${digest} is gone`;
    return;
  }
  // Of an image from a registry, only the platforms that were used are here.
  for (const child of manifest.manifests ?? []) yield* imageProblems(layout, db, child.digest, true);
  if (manifest.config === undefined) return;
  if (!existsSync(layout.blobPath(manifest.config.digest))) yield `its config ${manifest.config.digest} is gone`;
  for (const layer of manifest.layers ?? []) {
    if (existsSync(layout.blobPath(layer.digest))) continue;
    const remote = db.get('SELECT 1 FROM blob_repository WHERE digest = ?', layer.digest);
    const dir = db.get(
      'SELECT 1 FROM layer_blob JOIN layer ON layer.id = layer_blob.layer WHERE layer_blob.digest = ? AND layer.dir = 1',
      layer.digest,
    );
    if (remote === undefined && dir === undefined) yield `the bytes of its layer ${layer.digest} are gone`;
  }
}
