import { BuildError } from '../contracts/index.ts';
import type { BuildEventSink, Digest, FileEntry, LayerId } from '../contracts/index.ts';
import { digestOf } from '../image/index.ts';
import type { HttpResponse, Registry } from '../registry/index.ts';
import type { Store } from '../store/index.ts';
import { cancelled } from './cancelled.ts';
import { reportLayer } from './progress.ts';
import { findUpload } from './upload.ts';

/** What a URL gave, as it goes into keys and trees. */
export interface Download {
  readonly filename: string;
  readonly digest: Digest;
  readonly size: number;
  /** 0..0o777. */
  readonly mode: number;
  readonly uid: number;
  readonly gid: number;
  /** From Last-Modified; the epoch without one. Seconds. */
  readonly mtime: number;
}

export interface HttpDeps {
  readonly store: Store;
  readonly registry: Registry;
  readonly events: BuildEventSink;
  readonly signal: AbortSignal;
  /** What an earlier build got counts. */
  readonly offline?: boolean | undefined;
}

/** BuildKit's for what it downloads (source/http). */
const DEFAULT_MODE = 0o600;

/** What is kept of an earlier answer, so that the next build can ask whether it still holds. */
interface Known {
  readonly digest: Digest;
  readonly size: number;
  readonly etag: string;
  readonly mtime: number;
  readonly disposition: string;
}

/**
 * Fetches a URL into the store's file area, unless what is there still holds: by `http.checksum` without asking, by ETag
 * with asking.
 *
 * @param attrs `http.checksum`, `http.filename`, `http.perm`, `http.uid`, `http.gid`, `http.header.*` (pb attrs).
 * @throws BuildError `source-missing`, `registry` when the host cannot be reached, `digest-mismatch`
 */
export async function download(
  url: string,
  vertex: Digest,
  attrs: Readonly<Record<string, string>>,
  deps: HttpDeps,
): Promise<Download> {
  const upload = findUpload(url, deps.store);
  const known =
    upload === undefined
      ? await fetchOrKnown(url, vertex, attrs, deps)
      : { ...upload, etag: '', mtime: 0, disposition: '' };
  return {
    filename: fileName(url, attrs['http.filename'], known.disposition),
    digest: known.digest,
    size: known.size,
    mode: numberOf(attrs['http.perm'], 8) ?? DEFAULT_MODE,
    uid: numberOf(attrs['http.uid'], 10) ?? 0,
    gid: numberOf(attrs['http.gid'], 10) ?? 0,
    mtime: known.mtime,
  };
}

async function fetchOrKnown(
  url: string,
  vertex: Digest,
  attrs: Readonly<Record<string, string>>,
  deps: HttpDeps,
): Promise<Known> {
  const { store } = deps;
  const key = `http ${digestOf(url)}`;
  const before = readKnown(store, key);
  const checksum = attrs['http.checksum'];
  if (before !== undefined && before.digest === checksum) return before;
  if (before !== undefined && deps.offline === true && checksum === undefined && store.hasFile(before.digest))
    return before;
  const known = await fetchUrl(url, vertex, attrs, before, deps);
  store.writeFact(key, JSON.stringify(known));
  return known;
}

/** Everything that makes a difference to what the file is, as BuildKit's formatCacheKey. */
export function downloadKey({ filename, digest, mode, uid, gid, mtime }: Download): string {
  return `http ${digestOf(JSON.stringify([filename, digest, mode, uid, gid, mtime]))}`;
}

/** A layer with the one file; its bytes are in the store's file area. */
export async function downloadLayer(found: Download, store: Store): Promise<LayerId> {
  const { filename, digest, size, mode, uid, gid, mtime } = found;
  const id = store.newLayer();
  const entry: FileEntry = { type: 'file', mode, uid, gid, mtime, mtimeNsec: 0, size, digest };
  await store.writeTree(id, new Map([[filename, entry]]));
  store.saveLayer(id, { size });
  return id;
}

async function fetchUrl(
  url: string,
  vertex: Digest,
  attrs: Readonly<Record<string, string>>,
  before: Known | undefined,
  { store, registry, events, signal }: HttpDeps,
): Promise<Known> {
  const headers: Record<string, string> = {};
  for (const name of ['accept', 'user-agent']) {
    const value = attrs[`http.header.${name}`];
    if (value !== undefined) headers[name] = value;
  }
  if (before !== undefined && before.etag !== '') headers['if-none-match'] = before.etag;
  const response = await registry.http(url, { headers, signal });
  if (response.status === 304 && before !== undefined) {
    await drain(response);
    return before;
  }
  if (response.status < 200 || response.status >= 300) {
    await drain(response);
    throw new BuildError({
      code: response.status === 404 || response.status === 410 ? 'source-missing' : 'registry',
      message: `${withoutSecrets(url)} cannot be fetched: the server answered status ${response.status}`,
    });
  }
  const length = Number(response.headers['content-length'] ?? '0');
  const checksum = attrs['http.checksum'];
  let saved: { digest: Digest; size: number } | undefined;
  await reportLayer(events, vertex, digestOf(url), length).downloading(async (onProgress) => {
    const writer = await store.createFile();
    try {
      let received = 0;
      for await (const part of response.body) {
        received += part.length;
        await writer.write(part);
        onProgress(received);
      }
      saved = await writer.commit();
    } catch (error) {
      await writer.abort();
      if (error instanceof BuildError) throw error;
      const message = `the download of ${withoutSecrets(url)} broke off`;
      throw signal.aborted ? cancelled(signal) : new BuildError({ code: 'registry', message, cause: error });
    }
  });
  if (saved === undefined) throw new BuildError({ code: 'internal', message: `nothing came from ${url}` });
  if (checksum !== undefined && checksum !== saved.digest) {
    throw new BuildError({
      code: 'digest-mismatch',
      message: `${withoutSecrets(url)} is not what --checksum says: got ${saved.digest}, wanted ${checksum}`,
      hint: 'the file has changed, or the checksum is that of another version',
    });
  }
  const modified = Date.parse(response.headers['last-modified'] ?? '');
  return {
    ...saved,
    etag: response.headers['etag'] ?? '',
    mtime: Number.isNaN(modified) ? 0 : Math.floor(modified / 1000),
    disposition: response.headers['content-disposition'] ?? '',
  };
}

function readKnown(store: Store, key: string): Known | undefined {
  const fact = store.readFact(key);
  if (fact === undefined) return undefined;
  const known = JSON.parse(fact) as Known;
  return store.hasFile(known.digest) ? known : undefined;
}

/** As BuildKit's getFileName: what was asked for, what the server says, the end of the URL's path. */
export function fileName(url: string, asked: string | undefined, disposition: string): string {
  if (asked !== undefined && isPlainName(asked)) return asked;
  const quoted = /(?:^|;)\s*filename\s*=\s*"((?:[^"\\]|\\.)*)"/i.exec(disposition)?.[1]?.replace(/\\(.)/g, '$1');
  const named = quoted ?? /(?:^|;)\s*filename\s*=\s*([^\s;"]+)/i.exec(disposition)?.[1];
  if (named !== undefined && !named.endsWith('/')) {
    const base = named.slice(named.lastIndexOf('/') + 1);
    if (isPlainName(base)) return base;
  }
  const { pathname } = new URL(url);
  const last = decoded(pathname.replace(/\/+$/, '')).split('/').at(-1) ?? '';
  return isPlainName(last) ? last : 'download';
}

function isPlainName(name: string): boolean {
  return name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name);
}

function decoded(path: string): string {
  try {
    return decodeURIComponent(path);
  } catch {
    return path;
  }
}

function numberOf(text: string | undefined, base: 8 | 10): number | undefined {
  if (text === undefined || !/^[0-7]+$|^[0-9]+$/.test(text)) return undefined;
  const value = parseInt(text, base);
  return Number.isNaN(value) ? undefined : value;
}

/** URLs carry passwords and tokens; neither belongs in a message. */
function withoutSecrets(url: string): string {
  const { protocol, host, pathname } = new URL(url);
  return `${protocol}//${host}${pathname}`;
}

async function drain(response: HttpResponse): Promise<void> {
  // Leaving the loop ends the connection.
  for await (const part of response.body) if (part.length > 0) break;
}
