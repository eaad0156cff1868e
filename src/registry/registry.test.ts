import { createHash, randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeLayout } from '../../test/support/base-image.ts';
import { startRegistry } from '../../test/support/registry.ts';
import type { TestRegistry } from '../../test/support/registry.ts';
import type { Digest } from '../contracts/index.ts';
import { openStore } from '../store/index.ts';
import { createRegistry, parseMirrors } from './index.ts';
import type { BlobSource, Registry } from './index.ts';
import { startFront } from './testing/servers.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-registry-'));
const env = { DOCKER_CONFIG: dir, HOME: dir };
let server: TestRegistry;
let registry: Registry;

beforeAll(async () => {
  server = await startRegistry(join(dir, 'registry'));
  server.push(
    `${writeLayout(join(dir, 'layout'), [randomBytes(100_000), randomBytes(10)], { Cmd: ['x'] })}:latest`,
    'small',
  );
  registry = createRegistry({ env });
});
afterAll(async () => {
  await registry.close();
  await server.stop();
  rmSync(dir, { recursive: true });
});

function digestOf(data: Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function blobOf(data: Uint8Array): BlobSource {
  return {
    digest: digestOf(data),
    size: data.length,
    async *open() {
      for (let at = 0; at < data.length; at += 65536) yield data.subarray(at, at + 65536);
    },
  };
}

async function bytesOf(stream: AsyncIterable<Uint8Array>): Promise<Buffer> {
  const parts: Uint8Array[] = [];
  for await (const part of stream) parts.push(part);
  return Buffer.concat(parts);
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

describe('reading', () => {
  it('resolves a tag to the descriptor of its manifest, which names blobs that can be read', async () => {
    const repository = `${server.host}/library/small`;
    const descriptor = await registry.resolve(repository, 'latest');
    const manifest = await registry.fetchManifest(repository, 'latest');
    expect(manifest.descriptor).toEqual(descriptor);
    expect(descriptor).toEqual(await registry.resolve(repository, descriptor.digest));
    if (manifest.kind !== 'manifest') throw new Error('an index');
    const [layer] = manifest.document.layers;
    const bytes = await bytesOf(registry.fetchBlob(repository, layer!));
    expect(digestOf(bytes)).toBe(layer!.digest);
  });

  it('reads docker.io from a mirror, and only from the registry itself what the mirror lacks', async () => {
    const mirrored = createRegistry({ env: { ...env, SLIPWAY_MIRRORS: `docker.io=127.0.0.1:1,${server.host}` } });
    const manifest = await mirrored.fetchManifest('docker.io/library/small', 'latest');
    expect(manifest.kind).toBe('manifest');
    await mirrored.close();

    const empty = await startFront((_, response) => response.writeHead(404).end());
    const both = createRegistry({ env, mirrors: parseMirrors(`${server.host}=${empty.host}`) });
    await both.fetchManifest(`${server.host}/library/small`, 'latest');
    expect(empty.requests).toEqual(['GET /v2/library/small/manifests/latest']);
    await both.close();
    await empty.close();
  });

  it('pulls a blob into the store, once', async () => {
    const store = await openStore({ root: join(dir, 'store') });
    const repository = `${server.host}/library/small`;
    const manifest = await registry.fetchManifest(repository, 'latest');
    if (manifest.kind !== 'manifest') throw new Error('an index');
    const layer = manifest.document.layers[0]!;
    const seen: number[] = [];
    await registry.pullBlob([repository], layer, store, { onProgress: (bytes) => seen.push(bytes) });
    expect(store.hasBlob(layer.digest)).toBe(true);
    expect(seen.at(-1)).toBe(layer.size);
    await registry.pullBlob([`127.0.0.1:1/nowhere`], layer, store);
    store.close();
  });
});

describe('pushing', () => {
  it('uploads, finds again and mounts blobs, and puts manifests by tag', async () => {
    const data = randomBytes(300_000);
    const blob = blobOf(data);
    const one = `${server.host}/push/one`;
    const two = `${server.host}/push/two`;
    const seen: number[] = [];
    expect(await registry.hasBlob(one, blob.digest)).toBe(false);
    expect(await registry.pushBlob(one, blob, { onProgress: (bytes) => seen.push(bytes) })).toBe('pushed');
    expect(seen.at(-1)).toBe(data.length);
    expect(await registry.pushBlob(one, blob)).toBe('exists');
    expect(await registry.pushBlob(two, blob, { mountFrom: [`${server.host}/push/none`, one] })).toBe('mounted');
    expect(await bytesOf(registry.fetchBlob(two, blob))).toEqual(data);

    const config = Buffer.from('{}');
    await registry.pushBlob(two, blobOf(config));
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: digestOf(config), size: 2 },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: blob.digest, size: blob.size }],
      }),
    );
    const mediaType = 'application/vnd.oci.image.manifest.v1+json';
    const digest = await registry.pushManifest(two, 'v1', { mediaType, bytes: manifest });
    expect(await registry.resolve(two, 'v1')).toEqual({ mediaType, digest, size: manifest.length });
  });

  // This registry does not let a cut upload go on; faults.test.ts has one that does.
  it('gets a large blob through a line that is cut', async () => {
    let cuts = 0;
    const proxy = createServer((near) => {
      const far = connect(Number(server.host.split(':')[1]), '127.0.0.1');
      let passed = 0;
      near.on('data', (part: Buffer) => {
        passed += part.length;
        // What went through arrives before the line is cut.
        far.write(part, () => {
          if (passed < 3_000_000 || cuts === 2) return;
          cuts++;
          far.end();
          near.destroy();
        });
      });
      near.on('error', () => far.destroy()).on('end', () => far.end());
      far.on('error', () => near.destroy()).pipe(near);
    }).listen(0, '127.0.0.1');
    await new Promise((resolve) => proxy.once('listening', resolve));
    const host = `127.0.0.1:${(proxy.address() as AddressInfo).port}`;
    const data = randomBytes(12_000_000);
    const patient = createRegistry({ env, limits: { backoff: 200 } });
    expect(await patient.pushBlob(`${host}/push/cut`, blobOf(data))).toBe('pushed');
    expect(await bytesOf(registry.fetchBlob(`${server.host}/push/cut`, blobOf(data)))).toEqual(data);
    expect(cuts).toBe(2);
    await patient.close();
    proxy.close();
  });

  it('never writes to a mirror', async () => {
    const mirror = await startFront((_, response) => response.writeHead(500).end());
    const mirrored = createRegistry({ env, mirrors: parseMirrors(`${server.host}=${mirror.host}`) });
    await mirrored.pushBlob(`${server.host}/push/three`, blobOf(randomBytes(10)));
    expect(mirror.requests).toEqual([]);
    await mirrored.close();
    await mirror.close();
  });

  it('fails for bytes that are not what was promised', async () => {
    const blob = { ...blobOf(randomBytes(1000)), digest: digestOf(Buffer.from('other')) };
    expect(await failure(registry.pushBlob(`${server.host}/push/four`, blob))).toMatchObject({ name: 'BuildError' });
    expect(await registry.hasBlob(`${server.host}/push/four`, blob.digest)).toBe(false);
  });
});

describe('errors', () => {
  it.each([
    ['an unknown tag', 'library/small', 'nope', 'image-not-found', ':nope not found'],
    ['an unknown repository', 'library/nope', 'latest', 'image-not-found', '/library/nope:latest not found'],
    ['a tag that is none', 'library/small', '../../x', 'usage', '"../../x"'],
  ])('%s', async (_, path, tag, code, message) => {
    const name = `${server.host}/${path}`;
    for (const asked of await Promise.all([
      failure(registry.resolve(name, tag)),
      failure(registry.fetchManifest(name, tag)),
    ])) {
      expect(asked).toMatchObject({ code, message: expect.stringContaining(message) as string });
    }
  });

  it('says which host is down, and that a mirror may help', async () => {
    expect(await failure(registry.resolve('127.0.0.1:1/x', 'latest'))).toMatchObject({
      code: 'registry',
      message: 'cannot reach 127.0.0.1:1 for 127.0.0.1:1/x:latest: connection refused',
      hint: expect.stringContaining('SLIPWAY_MIRRORS') as string,
    });
    const nowhere = createRegistry({ env, limits: { retries: 0 } });
    const error = await failure(nowhere.resolve('registry.invalid/x', 'latest'));
    expect(error).toMatchObject({ code: 'registry', message: expect.stringContaining('registry.invalid') as string });
    await nowhere.close();
  });

  it('reports a mirror that lacks the image when the registry cannot be asked', async () => {
    const mirrored = createRegistry({ env, mirrors: parseMirrors(`127.0.0.1:1=${server.host}`) });
    expect(await failure(mirrored.resolve('127.0.0.1:1/library/nope', 'latest'))).toMatchObject({
      code: 'image-not-found',
      detail: [expect.stringContaining('connection refused')],
    });
    await mirrored.close();
  });

  it('stops when it is told to', async () => {
    const silent = await startFront(() => undefined);
    const controller = new AbortController();
    const pending = failure(registry.resolve(`${silent.host}/x`, 'latest', { signal: controller.signal }));
    setTimeout(() => controller.abort(), 20);
    expect(await pending).toMatchObject({ code: 'cancelled' });
    await silent.close();
  });
});
