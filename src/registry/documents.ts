import { createHash } from 'node:crypto';
import { BuildError, isDigest } from '../contracts/index.ts';
import type { Digest } from '../contracts/index.ts';
import { MEDIA_TYPES } from '../image/index.ts';
import type { Descriptor, Index, Manifest } from '../image/index.ts';
import { printable } from './errors.ts';
import type { FetchedManifest } from './types.ts';

/** Registries need not take more than 4 MiB (distribution-spec, Pushing Manifests); nothing larger is read. */
export const MANIFEST_SIZE_MAX = 4 * 1024 * 1024;

const INDEX_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociIndex, MEDIA_TYPES.dockerIndex]);
const MANIFEST_TYPES: ReadonlySet<string> = new Set([MEDIA_TYPES.ociManifest, MEDIA_TYPES.dockerManifest]);

/** For `Accept`: everything that {@link readManifest} reads. */
export const MANIFEST_ACCEPT = [...INDEX_TYPES, ...MANIFEST_TYPES].join(', ');

export function sha256(bytes: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
}

/**
 * Reads a manifest or index whose origin is not trusted (image-spec manifest.md, image-index.md; Docker schema 2).
 *
 * @param what For messages: `docker.io/library/x:latest`.
 * @param mediaType What the server or descriptor called it; empty when unknown.
 * @throws BuildError `unsupported` for other kinds of document, `hostile` for ones that contradict themselves
 */
export function readManifest(bytes: Uint8Array, mediaType: string, what: string): FetchedManifest {
  const document = parseObject(bytes, what);
  const type = decideType(document, (mediaType.split(';')[0] ?? '').trim(), what);
  const descriptor: Descriptor = { mediaType: type, digest: sha256(bytes), size: bytes.length };
  // A document that could be read as either is an attack on readers that differ (CVE-2021-41190).
  if ('manifests' in document && ('layers' in document || 'config' in document)) {
    throw unusable(what, 'it is a manifest and an index at once');
  }
  if (INDEX_TYPES.has(type)) {
    const manifests = descriptors(document['manifests'], 'manifests', what);
    return { kind: 'index', descriptor, bytes, document: { ...document, schemaVersion: 2, manifests } satisfies Index };
  }
  const [config] = descriptors([document['config']], 'config', what);
  if (config === undefined) throw unusable(what, 'it has no config');
  const layers = descriptors(document['layers'], 'layers', what);
  return {
    kind: 'manifest',
    descriptor,
    bytes,
    document: { ...document, schemaVersion: 2, config, layers } satisfies Manifest,
  };
}

function parseObject(bytes: Uint8Array, what: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    throw unusable(what, 'it is not JSON');
  }
  if (value === null || typeof value !== 'object' || Array.isArray(value)) throw unusable(what, 'it is no JSON object');
  return value as Record<string, unknown>;
}

/** The document's own `mediaType` and the server's must agree where both are known types. */
function decideType(document: Readonly<Record<string, unknown>>, served: string, what: string): string {
  if (document['schemaVersion'] === 1) {
    throw new BuildError({
      code: 'unsupported',
      message: `${what} is in Docker's image format of before 2016 (schema 1)`,
      hint: 'pull it with an old Docker and push it again, or use a newer tag',
    });
  }
  const own = document['mediaType'];
  const known = (type: unknown): type is string =>
    typeof type === 'string' && (INDEX_TYPES.has(type) || MANIFEST_TYPES.has(type));
  if (known(own)) {
    if (known(served) && served !== own) throw unusable(what, `it is served as ${served} and calls itself ${own}`);
    return own;
  }
  if (own !== undefined) {
    throw new BuildError({
      code: 'unsupported',
      message: `${what} is no container image: media type ${printable(JSON.stringify(own))}`,
    });
  }
  if (known(served)) return served;
  // Served by a plain file server: the shape says what it is (`mediaType` was optional until image-spec 1.1).
  if (Array.isArray(document['manifests'])) return MEDIA_TYPES.ociIndex;
  if (Array.isArray(document['layers'])) return MEDIA_TYPES.ociManifest;
  throw new BuildError({
    code: 'unsupported',
    message: `${what} is no container image: media type ${served === '' ? 'missing' : printable(served)}`,
  });
}

function descriptors(value: unknown, field: string, what: string): readonly Descriptor[] {
  if (!Array.isArray(value)) throw unusable(what, `it has no ${field}`);
  return value.map((entry: unknown): Descriptor => {
    if (entry === null || typeof entry !== 'object') throw unusable(what, `${field} holds something else`);
    const { mediaType, digest, size } = entry as Record<string, unknown>;
    if (typeof mediaType !== 'string') throw unusable(what, `a descriptor in ${field} has no media type`);
    if (typeof digest !== 'string' || !isDigest(digest)) {
      throw unusable(
        what,
        `a descriptor in ${field} has no sha256 digest: ${printable(JSON.stringify(digest ?? null))}`,
      );
    }
    if (typeof size !== 'number' || !Number.isSafeInteger(size) || size < 0) {
      throw unusable(what, `a descriptor in ${field} has no size`);
    }
    return { ...entry, mediaType, digest, size };
  });
}

function unusable(what: string, reason: string): BuildError {
  return new BuildError({ code: 'hostile', message: `the manifest of ${what} cannot be used: ${reason}` });
}
