import { BuildError, isDigest, type Digest } from '../../contracts/index.ts';
import { loadAttest } from '../../export/index.ts';
import {
  MEDIA_TYPES,
  digestOf,
  parseDocument,
  parseIndex,
  parseManifest,
  parseReference,
  referenceToString,
  repositoryName,
} from '../../image/index.ts';
import type { Descriptor, Index } from '../../image/index.ts';
import { createRegistry } from '../../registry/index.ts';
import { openStore } from '../../store/index.ts';
import type { HostOptions } from '../options.ts';
import { platformName } from './materials.ts';

/** Attestations are documents; nobody writes larger ones. Bytes. */
const STATEMENT_MAX = 64 << 20;
/** Looked at of one image. */
const REFERRERS_MAX = 100;

export interface ShownAttestation {
  /** Of the image that it speaks of. */
  readonly platform: string;
  readonly image: Digest;
  readonly digest: Digest;
  readonly predicateType: string;
  /** The in-toto statement as it was written. */
  readonly statement: Readonly<Record<string, unknown>>;
}

/** Where an image is read from. */
interface Reader {
  readonly name: string;
  root(): Promise<{ readonly mediaType: string; readonly bytes: Uint8Array }>;
  manifest(descriptor: Descriptor): Promise<Uint8Array>;
  blob(descriptor: Descriptor): Promise<Uint8Array>;
  /** What the registry knows to refer to a manifest. */
  referrers?(digest: Digest): Promise<readonly Descriptor[]>;
}

/**
 * What is said of an image: of the local store, else of its registry.
 *
 * @throws BuildError `image-not-found`, `registry`, `auth`
 */
export async function showAttestations(name: string, options: HostOptions = {}): Promise<readonly ShownAttestation[]> {
  const reference = parseReference(name);
  const full = referenceToString(reference);
  const env = options.env ?? process.env;
  const store = await openStore({ root: options.root ?? env['SLIPWAY_ROOT'] });
  try {
    const row = store.image(full);
    if (row !== undefined && store.hasBlob(row.digest)) {
      const read = async ({ digest }: { readonly digest: Digest }) => await store.readBlob(digest);
      const root = async () => ({ mediaType: row.mediaType, bytes: await read(row) });
      const shown = await readAttestations({ name, root, manifest: read, blob: read });
      if (shown.length > 0 || store.readFact(`referrers ${full} ${row.digest}`) === undefined) return shown;
    }
  } finally {
    store.close();
  }
  const registry = createRegistry({ env, signal: options.signal });
  const repository = repositoryName(reference);
  try {
    return await readAttestations({
      name,
      async root() {
        const found = await registry.fetchManifest(repository, reference.digest ?? reference.tag ?? 'latest');
        return { mediaType: found.descriptor.mediaType, bytes: found.bytes };
      },
      manifest: async ({ digest }) => (await registry.fetchManifest(repository, digest)).bytes,
      referrers: async (digest) => (await registry.referrers(repository, digest)).manifests,
      blob: async (descriptor) => await wholeBlob(registry.fetchBlob(repository, descriptor), name),
    });
  } finally {
    await registry.close();
  }
}

async function readAttestations(reader: Reader): Promise<readonly ShownAttestation[]> {
  const { isAttestation, REFERENCE_DIGEST } = await loadAttest();
  const { bytes, mediaType } = await reader.root();
  const { kind } = parseDocument(bytes, mediaType, { name: reader.name });
  if (kind === 'manifest') {
    const image = digestOf(bytes);
    return await readReferrers(reader, { mediaType, digest: image, size: bytes.length });
  }
  const { manifests }: Index = parseIndex(bytes, { name: reader.name });
  const shown: ShownAttestation[] = [];
  for (const descriptor of manifests.filter(isAttestation)) {
    const image = descriptor.annotations?.[REFERENCE_DIGEST] ?? '';
    const subject = manifests.find(({ digest }) => digest === image);
    if (isDigest(image) && subject !== undefined) shown.push(...(await readStatements(reader, descriptor, subject)));
  }
  for (const descriptor of manifests) {
    if (!isAttestation(descriptor)) shown.push(...(await readReferrers(reader, descriptor)));
  }
  return shown;
}

/** What a registry lists for an image, as far as it is statements. */
async function readReferrers(reader: Reader, subject: Descriptor): Promise<readonly ShownAttestation[]> {
  const listed = (await reader.referrers?.(subject.digest)) ?? [];
  const shown: ShownAttestation[] = [];
  for (const descriptor of listed.slice(0, REFERRERS_MAX)) {
    // Signatures and other artifacts refer to images, too.
    if (descriptor.mediaType === MEDIA_TYPES.ociManifest)
      shown.push(...(await readStatements(reader, descriptor, subject)));
  }
  return shown;
}

async function readStatements(
  reader: Reader,
  descriptor: Descriptor,
  subject: Descriptor,
): Promise<readonly ShownAttestation[]> {
  const shown: ShownAttestation[] = [];
  const platform = subject.platform === undefined ? '' : platformName(subject.platform);
  const { layers } = parseManifest(await reader.manifest(descriptor), { name: `an attestation of ${reader.name}` });
  for (const layer of layers) {
    if (layer.mediaType !== 'application/vnd.in-toto+json') continue;
    const statement = readStatement(await reader.blob(layer), reader.name);
    const { predicateType } = statement;
    const type = typeof predicateType === 'string' ? predicateType : '';
    shown.push({ platform, image: subject.digest, digest: layer.digest, predicateType: type, statement });
  }
  return shown;
}

function readStatement(bytes: Uint8Array, name: string): Readonly<Record<string, unknown>> {
  let value: unknown;
  try {
    value = JSON.parse(Buffer.from(bytes).toString('utf8'));
  } catch {
    value = undefined;
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new BuildError({ code: 'registry', message: `an attestation of ${name} is no in-toto statement` });
}

async function wholeBlob(stream: AsyncIterable<Uint8Array>, name: string): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of stream) {
    chunks.push(chunk);
    size += chunk.length;
    if (size > STATEMENT_MAX)
      throw new BuildError({
        code: 'registry',
        message: `an attestation of ${name} is larger than ${STATEMENT_MAX} bytes`,
      });
  }
  return Buffer.concat(chunks);
}
