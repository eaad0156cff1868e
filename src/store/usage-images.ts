/** Which objects an image needs: its documents and, of each layer, one row with its tree and the bytes in one form. */
import { existsSync, readFileSync } from 'node:fs';
import { isDigest, type Digest } from '../contracts/index.ts';
import type { Database } from './database.ts';
import type { ObjectKey } from './gc-inventory.ts';
import type { StoreLayout } from './layout.ts';

/** Of documents (image-spec manifest.md, image-index.md, config.md) no more than says what they refer to. */
interface Document {
  readonly manifests?: readonly { readonly digest?: unknown }[];
  readonly config?: { readonly digest?: unknown };
  readonly layers?: readonly { readonly digest?: unknown }[];
  readonly rootfs?: { readonly diff_ids?: readonly unknown[] };
}

/** An index in an index is one too many already. */
const DEPTH_MAX = 4;

const BY_BLOB = `
SELECT layer.id, layer.dir FROM layer_blob JOIN layer ON layer.id = layer_blob.layer
WHERE layer_blob.digest = ? ORDER BY layer.dir DESC, layer.used DESC, layer.id LIMIT 1`;
const BY_DIFF_ID = 'SELECT id, dir FROM layer WHERE diff_id = ? ORDER BY dir DESC, used DESC, id LIMIT 1';

/** @returns A function from the digest of a manifest or index to what it needs of what is there. */
export function createImageNeeds(layout: StoreLayout, db: Database): (digest: Digest) => readonly ObjectKey[] {
  const documents = new Map<Digest, Document>();

  function read(digest: Digest): Document | undefined {
    let document = documents.get(digest);
    if (document !== undefined) return document;
    try {
      document = JSON.parse(readFileSync(layout.blobPath(digest), 'utf8')) as Document;
    } catch {
      return undefined;
    }
    documents.set(digest, document);
    return document;
  }

  function layerNeeds(blob: Digest | undefined, diffId: Digest | undefined): readonly ObjectKey[] {
    const isLocal = blob !== undefined && existsSync(layout.blobPath(blob));
    const needs: ObjectKey[] = isLocal ? [`blob/${blob}`] : [];
    const row =
      (blob === undefined ? undefined : db.get(BY_BLOB, blob)) ??
      (diffId === undefined ? undefined : db.get(BY_DIFF_ID, diffId));
    if (row === undefined) return needs;
    const id = String(row['id']);
    needs.push(`layer/${id}`);
    // Bytes that are nowhere else on this machine.
    if (!isLocal && row['dir'] === 1) needs.push(`dir/${id}`);
    return needs;
  }

  function needsOf(digest: Digest, depth: number): readonly ObjectKey[] {
    const document = depth > DEPTH_MAX ? undefined : read(digest);
    if (document === undefined) return [];
    const needs: ObjectKey[] = [`blob/${digest}`];
    for (const { digest: child } of document.manifests ?? []) {
      if (isDigestValue(child)) needs.push(...needsOf(child, depth + 1));
    }
    const config = document.config?.digest;
    if (!isDigestValue(config)) return needs;
    if (existsSync(layout.blobPath(config))) needs.push(`blob/${config}`);
    const diffIds = read(config)?.rootfs?.diff_ids ?? [];
    for (const [i, layer] of (document.layers ?? []).entries()) {
      const diffId = diffIds[i];
      needs.push(
        ...layerNeeds(
          isDigestValue(layer.digest) ? layer.digest : undefined,
          isDigestValue(diffId) ? diffId : undefined,
        ),
      );
    }
    return needs;
  }

  return (digest) => [...new Set(needsOf(digest, 0))];
}

function isDigestValue(value: unknown): value is Digest {
  return typeof value === 'string' && isDigest(value);
}
