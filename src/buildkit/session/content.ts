/**
 * `Content`: OCI layouts on this machine, which the daemon reads images from (`--build-context x=oci-layout://`) and
 * writes them to (`-o type=oci,tar=false`, local caches). A store is named by an id that we gave; nothing else of the
 * disk can be reached.
 */
import { createHash, randomBytes } from 'node:crypto';
import { closeSync, mkdirSync, openSync, renameSync, rmSync, statSync, writeSync } from 'node:fs';
import { open } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { isDigest } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { decode, encode } from '../../llb/index.ts';
import { layoutBlobFile } from '../../source/index.ts';
import { ReadContentRequest, ReadContentResponse, WriteContentRequest, WriteContentResponse } from '../gen/session.ts';
import type { PbWriteContentRequest, PbWriteContentResponse } from '../gen/session.ts';
import { unary } from '../grpc/server.ts';
import type { Handler, ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { CONTENT_ABORT, CONTENT_INFO, CONTENT_READ, CONTENT_STATUS, CONTENT_WRITE } from './methods.ts';

export interface ContentStore {
  /** Of the layout; made when something is written. */
  readonly directory: string;
  readonly writable: boolean;
  /** Gets the digest of each blob that is written, or was there already. */
  readonly written?: Set<string> | undefined;
}

/** By the id that requests carry. */
export type ContentStores = ReadonlyMap<string, ContentStore>;

/** Of a blob, in one message. Bytes. */
const PIECE = 512 << 10;
const WRITE = 1;
const COMMIT = 2;

export function contentServices(stores: ContentStores): readonly (readonly [string, Handler])[] {
  const storeOf = (call: ServerCall): ContentStore => {
    const id = call.metadata('buildkit-attachable-store-id')[0] ?? '';
    const store = stores.get(id);
    if (store === undefined) throw new GrpcError(STATUS.notFound, `no content store ${JSON.stringify(id)}`);
    return store;
  };
  return [
    unary(CONTENT_INFO, async ({ digest = '' }, call) => {
      const store = storeOf(call);
      const size = sizeOf(store, digest);
      store.written?.add(digest);
      return { info: { digest, size } };
    }),
    // Uploads are not resumed: none of the last build is known.
    unary(CONTENT_STATUS, async ({ ref = '' }) => {
      throw new GrpcError(STATUS.notFound, `upload ${ref} is not under way`);
    }),
    unary(CONTENT_ABORT, async () => ({})),
    [CONTENT_READ, async (call) => readBlob(call, storeOf(call))],
    [CONTENT_WRITE, async (call) => writeBlob(call, storeOf(call))],
  ];
}

function fileOf(store: ContentStore, digest: string): string {
  if (!isDigest(digest)) throw new GrpcError(STATUS.invalidArgument, `${JSON.stringify(digest)} is no digest`);
  return layoutBlobFile(store.directory, digest);
}

function sizeOf(store: ContentStore, digest: string): bigint {
  const stats = statSync(fileOf(store, digest), { throwIfNoEntry: false });
  if (stats?.isFile() !== true) throw new GrpcError(STATUS.notFound, `content ${digest}: not found`);
  return BigInt(stats.size);
}

async function readBlob(call: ServerCall, store: ContentStore): Promise<void> {
  const message = await call.incoming.next();
  const { digest = '', offset = 0n, size = 0n } = decode(ReadContentRequest, message ?? new Uint8Array());
  const whole = sizeOf(store, digest);
  const end = size === 0n ? whole : offset + size < whole ? offset + size : whole;
  const file = await open(fileOf(store, digest));
  try {
    for (let at = Number(offset); at < Number(end);) {
      call.signal.throwIfAborted();
      const { bytesRead, buffer } = await file.read(
        Buffer.allocUnsafe(PIECE),
        0,
        Math.min(PIECE, Number(end) - at),
        at,
      );
      if (bytesRead === 0) throw new GrpcError(STATUS.internal, `${digest} has become shorter`);
      await call.write(encode(ReadContentResponse, { offset: BigInt(at), data: buffer.subarray(0, bytesRead) }));
      at += bytesRead;
    }
  } finally {
    await file.close();
  }
}

interface Upload {
  readonly fd: number;
  readonly temporary: string;
  readonly hash: ReturnType<typeof createHash>;
  size: number;
}

/** One upload: the messages of a stream, ended by COMMIT, when the blob is verified and gets its name. */
async function writeBlob(call: ServerCall, store: ContentStore): Promise<void> {
  if (!store.writable) throw new GrpcError(STATUS.permissionDenied, 'this content store is read only');
  let upload: Upload | undefined;
  try {
    for await (const message of call.incoming) {
      const request = decode(WriteContentRequest, message);
      upload ??= begin(store);
      await call.write(encode(WriteContentResponse, step(request, upload, store)));
      if (request.action === COMMIT) return;
    }
  } finally {
    if (upload !== undefined) {
      closeSync(upload.fd);
      rmSync(upload.temporary, { force: true });
    }
  }
}

function begin(store: ContentStore): Upload {
  const directory = join(store.directory, 'blobs', 'sha256');
  mkdirSync(directory, { recursive: true });
  const temporary = join(directory, `.${randomBytes(8).toString('hex')}`);
  return { fd: openSync(temporary, 'wx', 0o644), temporary, hash: createHash('sha256'), size: 0 };
}

function step(request: PbWriteContentRequest, upload: Upload, store: ContentStore): PbWriteContentResponse {
  const { action = 0, data = new Uint8Array(), offset = 0n, expected = '', total = 0n } = request;
  if (expected !== '' && action !== COMMIT && isThere(store, expected)) {
    store.written?.add(expected);
    throw new GrpcError(STATUS.alreadyExists, `content ${expected}: already exists`);
  }
  if (action === WRITE || (action === COMMIT && data.length > 0)) {
    if (Number(offset) !== upload.size && data.length > 0)
      throw new GrpcError(STATUS.failedPrecondition, `offset ${offset} after ${upload.size} bytes`);
    for (let at = 0; at < data.length;) at += writeSync(upload.fd, data, at);
    upload.hash.update(data);
    upload.size += data.length;
  }
  const answer = { action, offset: BigInt(upload.size), total: total === 0n ? BigInt(upload.size) : total };
  if (action !== COMMIT) return answer;
  const digest: Digest = `sha256:${upload.hash.digest('hex')}`;
  if (expected !== '' && expected !== digest)
    throw new GrpcError(STATUS.failedPrecondition, `content is ${digest}, not ${expected}`);
  const file = fileOf(store, digest);
  mkdirSync(dirname(file), { recursive: true });
  renameSync(upload.temporary, file);
  store.written?.add(digest);
  return { ...answer, digest };
}

function isThere(store: ContentStore, digest: string): boolean {
  return statSync(fileOf(store, digest), { throwIfNoEntry: false })?.isFile() === true;
}
