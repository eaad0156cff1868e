import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import type { IncomingMessage } from 'node:http';
import { createServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { PassThrough } from 'node:stream';
import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import type { Digest, ExportResult, Layer, LayerBlob } from '../contracts/index.ts';
import { parseManifest, packLayer } from '../image/index.ts';
import { createRegistry } from '../registry/index.ts';
import type { Registry } from '../registry/index.ts';
import { startFront } from '../registry/testing/servers.ts';
import { createExporter } from './create-exporter.ts';
import { parseOutput } from './parse-output.ts';
import { openFixture, sha256 } from './testing/fixture.ts';
import type { Fixture } from './testing/fixture.ts';

let fixture: Fixture;
let server: ChildProcess;
let host = '';
let registry: Registry;

beforeAll(async () => {
  fixture = await openFixture();
  host = `127.0.0.1:${await freePort()}`;
  const config = join(fixture.dir, 'registry.yml');
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error, accesslog: {disabled: true}}\nstorage: {filesystem: {rootdirectory: ${fixture.dir}/registry}}\nhttp: {addr: "${host}"}\n`,
  );
  server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  await answering(`http://${host}/v2/`);
  registry = createRegistry({ env: {} });
});
afterAll(async () => {
  await registry.close();
  server.kill();
  fixture.close();
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}

async function answering(url: string): Promise<void> {
  for (let tries = 0; tries < 100; tries++) {
    if (
      await fetch(url).then(
        (answer) => answer.ok,
        () => false,
      )
    )
      return;
    await setTimeout(50);
  }
  throw new Error(`${url} does not answer`);
}

const run = async (output: string, layers: readonly Layer[], names: readonly string[] = []): Promise<ExportResult> => {
  const exporter = await createExporter(parseOutput(output), {
    store: fixture.store,
    registry,
    stdout: new PassThrough(),
    names,
  });
  const result = await exporter.export([fixture.input(layers)], fixture.context);
  await result.publish?.(fixture.context);
  return result;
};

test('an image in the store under its names', async () => {
  const { image } = await run('type=image', [fixture.layer({ a: 'x' })], ['app', 'app:2', 'app:latest']);
  expect(image?.names).toEqual(['docker.io/library/app:latest', 'docker.io/library/app:2']);
  for (const name of image?.names ?? []) {
    expect(fixture.store.image(name)).toMatchObject({
      digest: image?.digest,
      mediaType: image?.mediaType,
      origin: 'build',
    });
  }
  const digest = image?.digest ?? 'sha256:';
  const manifest = parseManifest(await fixture.store.readBlob(digest));
  expect(manifest.config.digest).toBe(image?.configDigest);
  expect(fixture.store.hasBlob(manifest.config.digest)).toBe(true);
  expect(manifest.layers.every((layer) => fixture.store.hasBlob(layer.digest))).toBe(true);
});

test('push: skopeo finds it under every name', async () => {
  const names = [`${host}/team/app:1`, `${host}/team/app:latest`, `${host}/other:1`];
  const { image } = await run(
    'type=image,push=true',
    [fixture.layer({ a: 'pushed' }), fixture.layer({ b: 'too' })],
    names,
  );
  for (const name of names) {
    const seen = JSON.parse(
      execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${name}`], { encoding: 'utf8' }),
    ) as { Digest: string; Layers: string[] };
    expect(seen.Digest).toBe(image?.digest);
    expect(seen.Layers).toHaveLength(2);
  }
  expect(fixture.store.image(`${host}/other:1`)).toBeDefined();
});

test('push by digest only, kept out of the store', async () => {
  const name = `${host}/by-digest:1`;
  const { image } = await run(`type=registry,push-by-digest=true,name=${name}`, [fixture.layer({ a: 'by digest' })]);
  expect(fixture.store.image(name)).toBeUndefined();
  await registry.fetchManifest(`${host}/by-digest`, image?.digest ?? '');
  await expect(registry.resolve(`${host}/by-digest`, '1')).rejects.toMatchObject({ code: 'image-not-found' });
});

test('a base that was never pulled stays where it is: its blob is mounted, or pulled only when it must be', async () => {
  // What another machine pushed.
  const other = await openFixture();
  const blob = await packLayer(other.layer({ base: 'layer' }), other.store, { compression: 'gzip' });
  await registry.pushBlob(`${host}/base`, { ...blob, open: () => read(other, blob) });

  const layer = fixture.layer({});
  fixture.store.saveLayer(layer.id, { blob: { ...blob, repository: `${host}/base` } });
  const fails = (): Promise<never> => Promise.reject(new Error('must not be asked'));
  const lazy: Layer = { ...layer, tree: fails, blob: fails };

  const { image } = await run('type=image', [lazy, fixture.layer({ own: 'x' })], ['lazy']);
  expect(image?.layersSize).toBeGreaterThan(blob.size);
  expect(fixture.store.hasBlob(blob.digest)).toBe(false);

  await run('type=registry', [lazy, fixture.layer({ own: 'x' })], [`${host}/lazy:1`]);
  expect(fixture.store.hasBlob(blob.digest)).toBe(false);
  expect(await registry.hasBlob(`${host}/lazy`, blob.digest)).toBe(true);

  // An archive needs the bytes.
  let pulls = 0;
  const pulling: Layer = {
    ...lazy,
    async blob() {
      pulls++;
      await registry.pullBlob([`${host}/base`], blob, fixture.store);
      return blob;
    },
  };
  await run(`type=oci,dest=${fixture.dir}/lazy.tar`, [pulling], ['lazy:1']);
  expect(pulls).toBe(1);
  expect(execFileSync('skopeo', ['inspect', `oci-archive:${fixture.dir}/lazy.tar:1`], { encoding: 'utf8' })).toContain(
    blob.digest,
  );
  other.close();
});

test('force-compression packs a base anew and keeps its diff ID', async () => {
  const first = fixture.layer({ base: 'to be forced' });
  const made = await packLayer(first, fixture.store, { compression: 'gzip' });
  const base: Layer = { ...first, id: fixture.store.newLayer(), blob: async () => made };
  fixture.store.saveLayer(base.id, { blob: { ...made, repository: 'example.com/base' } });
  const keep = await run('type=image,compression=zstd', [base], ['kept']);
  const force = await run('type=image,compression=zstd,force-compression=true', [base], ['forced']);
  const layerOf = async (result: ExportResult): Promise<string> =>
    parseManifest(await fixture.store.readBlob(result.image?.digest ?? 'sha256:')).layers[0]?.mediaType ?? '';
  expect(await layerOf(keep)).toContain('gzip');
  expect(await layerOf(force)).toContain('zstd');
});

test.each([
  ['type=image,push=true', [], 'usage'],
  ['type=image', ['UPPER'], 'usage'],
  ['type=image', [`app@sha256:${'0'.repeat(64)}`], 'usage'],
])('%s with names %j', async (output, names, code) => {
  await expect(run(output, [], names)).rejects.toMatchObject({ code });
});

test('a registry that is not there: nothing is named', async () => {
  const dead = `127.0.0.1:${await freePort()}/x:1`;
  const impatient = createRegistry({ env: {}, limits: { retries: 0 } });
  const deps = { store: fixture.store, registry: impatient, stdout: new PassThrough(), names: [dead] };
  const exporter = await createExporter(parseOutput('type=image,push=true'), deps);
  await expect(exporter.export([fixture.input([fixture.layer({ a: 'x' })])], fixture.context)).rejects.toMatchObject({
    code: 'registry',
  });
  expect(fixture.store.image(dead)).toBeUndefined();
  await impatient.close();
});

async function* read(from: Fixture, blob: LayerBlob): AsyncGenerator<Uint8Array> {
  yield await from.store.readBlob(blob.digest);
}

/** What a layer of 24 MB asks of a registry; `refuse` answers a request itself. */
async function requestsOf(
  output: string,
  files: Readonly<Record<string, string>>,
  refuse: (request: IncomingMessage) => number | undefined = () => undefined,
  more: readonly string[] = [],
): Promise<{ readonly requests: readonly string[]; readonly name: string; readonly result: Promise<ExportResult> }> {
  const front = await startFront((request, response, pass) => {
    const status = refuse(request);
    if (status === undefined) pass();
    else {
      request.resume();
      response.writeHead(status).end();
    }
  }, host);
  const name = `${front.host}/early:1`;
  const result = run(output, [fixture.layer(files)], [name, ...more.map((path) => `${front.host}/${path}`)]);
  await result.catch(() => undefined);
  await front.close();
  return { requests: front.requests, name, result };
}

const LARGE = 24_000_000;
const kinds = (requests: readonly string[]): readonly string[] =>
  requests.map((line) => line.replace(/^(\w+) \/v2\/(\w+)\/.*$/, '$1 $2'));

test('push: a large new layer is sent while it is packed, and mounted where it has another name', async () => {
  const files = { large: randomBytes(LARGE / 2).toString('hex') };
  const { requests, result } = await requestsOf('type=image,push=true', files, undefined, ['second:1', 'second:2']);
  const digest = (await result).image?.digest ?? '';
  const manifest = parseManifest(await fixture.store.readBlob(digest as Digest));
  const layer = manifest.layers[0]?.digest ?? '';
  const parts: Uint8Array[] = [];
  for await (const part of registry.fetchBlob(`${host}/early`, manifest.layers[0] ?? expect.fail())) parts.push(part);
  expect(sha256(Buffer.concat(parts))).toBe(layer);
  // It goes up once, and nobody asks for it before.
  expect(kinds(requests).filter((kind) => kind.startsWith('PATCH'))).toEqual(['PATCH early']);
  expect(requests.filter((line) => line.startsWith('HEAD /v2/early') && line.includes(layer))).toEqual([]);
  expect(requests.filter((line) => line.includes(`mount=${layer}`))).toHaveLength(1);
});

test.each([
  ['knows no chunks', (r: IncomingMessage) => (r.headers['transfer-encoding'] === undefined ? undefined : 411)],
  ['does not take it', (r: IncomingMessage) => (r.method === 'PUT' && r.url?.includes('/uploads/') ? 400 : undefined)],
])('push: to a registry that %s, the layer is sent when it is packed', async (_, refuses) => {
  let refused = 0;
  const once = (request: IncomingMessage): number | undefined => {
    const status = refused === 0 ? refuses(request) : undefined;
    if (status !== undefined) refused++;
    return status;
  };
  fixture.context.names.length = 0;
  const { requests, result } = await requestsOf(
    'type=image,push=true',
    { large: randomBytes(LARGE / 2).toString('hex') },
    once,
  );
  expect((await result).image?.digest).toMatch(/^sha256:/);
  expect(refused).toBe(1);
  expect(kinds(requests).filter((kind) => kind.startsWith('PATCH'))).toHaveLength(2);
  expect(kinds(requests)).toContain('DELETE early');
  expect(fixture.context.names.join('\n')).not.toMatch(/fail|error|refuse/i);
});

test('push: what somebody else may have pushed is asked for first', async () => {
  const files = { large: randomBytes(LARGE / 2).toString('hex') };
  const output = 'type=image,push=true,rewrite-timestamp=true,source-date-epoch=1600000000';
  const { requests } = await requestsOf(output, files);
  const kindsOf = kinds(requests);
  expect(kindsOf.indexOf('HEAD early')).toBeLessThan(kindsOf.indexOf('PATCH early'));
});

test('push: a build that fails while it packs leaves no upload', async () => {
  const large = fixture.layer({ large: randomBytes(LARGE / 2).toString('hex') });
  const broken: Layer = {
    ...fixture.layer({ a: 'x' }),
    tree: async () => {
      throw new BuildError({ code: 'context', message: 'it changed' });
    },
  };
  const front = await startFront((_, __, pass) => pass(), host);
  const failing = run('type=image,push=true', [large, broken], [`${front.host}/early:2`]);
  await expect(failing).rejects.toMatchObject({ code: 'context' });
  await front.close();
  expect(front.requests.some((line) => /^PUT .*digest=/.test(line) || line.startsWith('DELETE'))).toBe(true);
  expect(front.requests.some((line) => line.includes('/manifests/'))).toBe(false);
});
