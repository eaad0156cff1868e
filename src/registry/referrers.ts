import { BuildError, isDigest } from '../contracts/index.ts';
import type { Digest } from '../contracts/index.ts';
import { MANIFEST_SIZE_MAX, MEDIA_TYPES, digestOf, parseIndex } from '../image/index.ts';
import type { Descriptor } from '../image/index.ts';
import type { Client } from './client.ts';
import type { Endpoint } from './endpoints.ts';
import { hostile } from './errors.ts';
import { ownManifest, putManifest } from './push.ts';
import { readBody } from './transport.ts';
import type { CallOptions, Referrers } from './types.ts';

/** Pages of one list that are asked for; more than any image has. */
const PAGES_MAX = 50;

/** The tag that stands in for the referrers API (distribution-spec, Referrers Tag Schema). */
export function referrersTag(digest: Digest): string {
  return digest.replace(':', '-');
}

/** What refers to a manifest: by the API, from a registry without it by the fallback tag. */
export async function listReferrers(
  client: Client,
  endpoint: Endpoint,
  digest: Digest,
  options: CallOptions,
): Promise<Referrers> {
  const manifests: Descriptor[] = [];
  let target: string | undefined = `/referrers/${digest}`;
  for (let page = 0; target !== undefined && page < PAGES_MAX; page++) {
    const found = await readIndex(client, endpoint, target, digest, options);
    if (found === undefined) {
      const tagged = await readIndex(client, endpoint, `/manifests/${referrersTag(digest)}`, digest, options);
      return { isListed: false, manifests: tagged?.manifests ?? [] };
    }
    manifests.push(...found.manifests);
    target = found.next;
  }
  return { isListed: true, manifests };
}

async function readIndex(
  client: Client,
  endpoint: Endpoint,
  target: string,
  digest: Digest,
  options: CallOptions,
): Promise<{ readonly manifests: readonly Descriptor[]; readonly next: string | undefined } | undefined> {
  const what = `what refers to ${digest} in ${endpoint.path}`;
  const response = await client.send(endpoint, {
    method: 'GET',
    target,
    what,
    scopes: [`repository:${endpoint.path}:pull`],
    headers: { accept: MEDIA_TYPES.ociIndex },
    expect: [200, 400, 404, 405],
    signal: options.signal,
  });
  // Registries from before the API answer it in their own ways; one that has it answers with an index.
  if (response.status !== 200 || !(response.headers['content-type'] ?? '').startsWith(MEDIA_TYPES.ociIndex)) {
    await response.drain();
    return undefined;
  }
  const bytes = await readBody(response, MANIFEST_SIZE_MAX);
  if (bytes === undefined) throw hostile(what, endpoint.host, 'the list is larger than 4 MiB');
  const link = /<([^>]+)>\s*;\s*rel="?next"?/.exec(response.headers['link'] ?? '')?.[1];
  const next = link !== undefined && URL.canParse(link, response.url) ? new URL(link, response.url) : undefined;
  const isOwn = next !== undefined && next.origin === new URL(response.url).origin;
  const { manifests } = parseIndex(bytes, { name: what, code: 'hostile' });
  return { manifests, next: isOwn ? next.href : undefined };
}

/** The parts of a manifest with a subject that its entry in a list of referrers has. */
interface Referring {
  readonly artifactType?: unknown;
  readonly config?: { readonly mediaType?: unknown };
  readonly subject?: { readonly digest?: unknown };
  readonly annotations?: unknown;
}

export async function pushReferrer(
  client: Client,
  endpoint: Endpoint,
  manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
  options: CallOptions,
): Promise<Digest> {
  const document = JSON.parse(new TextDecoder().decode(manifest.bytes)) as Referring;
  const subject = document.subject?.digest;
  if (typeof subject !== 'string' || !isDigest(subject)) {
    throw new BuildError({ code: 'internal', message: 'a referrer names no subject' });
  }
  const { digest, subject: noted } = await putManifest(client, endpoint, digestOf(manifest.bytes), manifest, options);
  if (noted !== undefined) return digest;
  const tag = referrersTag(subject);
  const before = await ownManifest(client, endpoint, tag, MEDIA_TYPES.ociIndex, options);
  const entry = {
    mediaType: manifest.mediaType,
    digest,
    size: manifest.bytes.length,
    artifactType: document.artifactType ?? document.config?.mediaType,
    annotations: document.annotations,
  };
  const listed = before === undefined ? [] : entriesOf(before.bytes, tag);
  if (listed.some((known) => known['digest'] === digest)) return digest;
  const index = { schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [...listed, entry] };
  const bytes = Buffer.from(JSON.stringify(index));
  await putManifest(client, endpoint, tag, { mediaType: MEDIA_TYPES.ociIndex, bytes }, options);
  return digest;
}

/** Entries of others stay as they are, with fields that we know nothing of. */
function entriesOf(bytes: Uint8Array, tag: string): readonly Readonly<Record<string, unknown>>[] {
  parseIndex(bytes, { name: `the list of referrers ${tag}`, code: 'hostile' });
  const { manifests } = JSON.parse(new TextDecoder().decode(bytes)) as { manifests: Record<string, unknown>[] };
  return manifests;
}
