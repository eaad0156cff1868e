import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync, linkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { writeLayout } from '../../../test/support/base-image.ts';
import { startRegistry } from '../../../test/support/registry.ts';
import type { TestRegistry } from '../../../test/support/registry.ts';
import type { Snapshot } from '../../contracts/index.ts';
import { parseMirrors } from '../../registry/index.ts';
import { startFront } from '../../registry/testing/servers.ts';
import type { TestServer } from '../../registry/testing/servers.ts';
import { sourceVertex, startBuild } from '../testing/build.ts';
import type { TestBuild } from '../testing/build.ts';
import { parseLayoutReference } from './layout.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-images-'));
const platform = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64' };
let registry: TestRegistry;
/** Counts what is asked of the registry. */
let front: TestServer;
let layout: string;
let states = 0;
const open: TestBuild[] = [];

/** Two layers: a base with links, and one above with a file of its own and a whiteout. */
beforeAll(async () => {
  const base = join(dir, 'base');
  mkdirSync(join(base, 'etc'), { recursive: true });
  mkdirSync(join(base, 'usr/bin'), { recursive: true });
  writeFileSync(join(base, 'etc/one'), 'first');
  writeFileSync(join(base, 'etc/empty'), '');
  writeFileSync(join(base, 'usr/bin/tool'), 'x'.repeat(200_000));
  linkSync(join(base, 'usr/bin/tool'), join(base, 'usr/bin/alias'));
  symlinkSync('usr/bin', join(base, 'bin'));
  const top = join(dir, 'top');
  mkdirSync(join(top, 'etc'), { recursive: true });
  writeFileSync(join(top, 'etc/two'), 'second');
  writeFileSync(join(top, 'etc/.wh.one'), '');
  const tar = (root: string): Buffer => execFileSync('tar', ['--sort=name', '-C', root, '-cf', '-', '.']);
  layout = writeLayout(join(dir, 'layout'), [tar(base), tar(top)], { Env: ['A=b'] });
  registry = await startRegistry(join(dir, 'registry'));
  registry.push(`${layout}:latest`, 'img');
  front = await startFront((_, __, pass) => pass(), registry.host);
});
afterEach(async () => {
  for (const build of open.splice(0)) await build.close();
});
afterAll(async () => {
  await front.close();
  await registry.stop();
  rmSync(dir, { recursive: true });
});

const newState = (): string => join(dir, `state-${states++}`);

async function build(state: string, pull = false): Promise<TestBuild> {
  const started = await startBuild(state, { pull, network: { mirrors: parseMirrors(`docker.io=${front.host}`) } });
  open.push(started);
  return started;
}

const NAME = 'docker.io/library/img:latest';
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

async function read(snapshot: Snapshot, path: string): Promise<string> {
  const [location] = await snapshot.files.locate([path]);
  if (location?.kind === 'bytes') return Buffer.from(location.data).toString();
  return location === undefined ? '' : readFileSync(location.path, 'utf8');
}

function requests(): string[] {
  return front.requests.splice(0).map((line) => line.replace(/sha256:[0-9a-f]{64}/, 'DIGEST'));
}

describe('an image of a registry', () => {
  it('is resolved without its layers, and remembered', async () => {
    const state = newState();
    requests();
    const first = await build(state);
    const [image, again] = await Promise.all([
      first.sources.resolveImage(NAME, platform, 'docker-image', undefined),
      first.sources.resolveImage(NAME, platform, 'docker-image', undefined),
    ]);
    expect(again).toEqual(image);
    expect(image.ref).toBe(`${NAME}@${image.digest}`);
    expect(image.config.config?.Env).toEqual(['A=b']);
    const asked = requests();
    expect(asked).toEqual([
      'HEAD /v2/library/img/manifests/latest',
      'GET /v2/library/img/manifests/DIGEST',
      'GET /v2/library/img/blobs/DIGEST',
    ]);
    expect(first.events).toMatchObject([
      { type: 'vertex', name: `[internal] load metadata for ${NAME}` },
      { type: 'vertex' },
      { type: 'vertex', completed: expect.any(Number) as number },
      { type: 'vertex', completed: expect.any(Number) as number },
    ]);

    const second = await build(state);
    expect(await second.sources.resolveImage(NAME, platform, 'docker-image', undefined)).toEqual(image);
    const vertex = sourceVertex(`docker-image://${image.ref}`, {}, platform);
    await second.sources.sourceKey(vertex, second.context);
    expect(requests()).toEqual([]);

    const third = await build(state, true);
    expect(await third.sources.resolveImage(NAME, platform, 'docker-image', undefined)).toEqual(image);
    expect(requests()).toEqual(['HEAD /v2/library/img/manifests/latest']);
  });

  it('is keyed by its layers, whatever its name', async () => {
    const started = await build(newState());
    const { digest } = await started.sources.resolveImage(NAME, platform, 'docker-image', undefined);
    const byTag = sourceVertex(`docker-image://${NAME}`, {}, platform);
    const byDigest = sourceVertex(`docker-image://docker.io/library/img@${digest}`, {}, platform);
    const inLayout = sourceVertex(`oci-layout://docker.io/library/app@${digest}`, { 'oci.store': layout }, platform);
    const keys = await Promise.all(
      [byTag, byDigest, inLayout].map((v) => started.sources.sourceKey(v, started.context)),
    );
    expect(new Set(keys).size).toBe(1);
    expect(keys[0]).toMatch(/^image sha256:/);
  });

  it('is read newest layer first, and only what is needed', async () => {
    const state = newState();
    const first = await build(state);
    const snapshot = await first.sources.snapshot(sourceVertex(`docker-image://${NAME}`, {}, platform), first.context);
    requests();
    expect(await snapshot.files.lookup('etc/two')).toMatchObject({ type: 'file', size: 6 });
    expect(await read(snapshot, 'etc/two')).toBe('second');
    expect(requests()).toEqual(['GET /v2/library/img/blobs/DIGEST']);
    expect(first.store.layer(snapshot.layers[0]?.id ?? '')).toMatchObject({ hasTree: false });

    expect(await snapshot.files.lookup('etc/one')).toBeUndefined();
    expect(await snapshot.files.lookup('bin')).toMatchObject({ type: 'symlink', target: 'usr/bin' });
    expect(await snapshot.files.lookup('bin/tool')).toBeUndefined();
    const both = [...(await snapshot.files.locate(['usr/bin/tool', 'usr/bin/alias', 'etc/empty']))];
    expect(both[0]).toEqual(both[1]);
    expect(both[2]).toMatchObject({ kind: 'bytes' });
    const [digest] = await snapshot.files.digests(['usr/bin/alias']);
    expect(digest).toBe(`sha256:${createHash('sha256').update('x'.repeat(200_000)).digest('hex')}`);
    expect(await read(snapshot, 'usr/bin/alias')).toBe('x'.repeat(200_000));
    expect(requests()).toEqual(['GET /v2/library/img/blobs/DIGEST']);
    const statuses = first.events.filter((event) => event.type === 'status');
    expect(statuses.some(({ name, completed }) => name === 'downloading' && completed !== undefined)).toBe(true);

    // The next build finds blobs and trees, and reads files out of them without the network.
    const second = await build(state);
    const later = await second.sources.snapshot(sourceVertex(`docker-image://${NAME}`, {}, platform), second.context);
    expect(later.layers.map(({ id }) => id)).toEqual(snapshot.layers.map(({ id }) => id));
    expect(await later.layers[0]?.blob()).toMatchObject({ mediaType: 'application/vnd.oci.image.layer.v1.tar+gzip' });
    expect(requests()).toEqual([]);
  });

  it('is pulled once by two builds at a time', async () => {
    const state = newState();
    const builds = await Promise.all([build(state), build(state)]);
    const snapshots = await Promise.all(
      builds.map(({ sources, context }) =>
        sources.snapshot(sourceVertex(`docker-image://${NAME}`, {}, platform), context),
      ),
    );
    requests();
    await Promise.all(snapshots.flatMap((snapshot) => snapshot.layers.slice(0, 1).map((layer) => layer.tree())));
    expect(requests()).toHaveLength(1);
  });
});

describe('a build that ends early', () => {
  it('takes its downloads with it and leaves nothing behind', async () => {
    let sent: (() => void) | undefined;
    const begun = new Promise<void>((resolve) => (sent = resolve));
    const stalling = await startFront((request, response, pass) => {
      if (request.method === 'GET' && request.url?.includes('/blobs/') === true && stalls) {
        response.writeHead(200);
        response.write('x', () => sent?.());
      } else pass();
    }, registry.host);
    let stalls = false;
    const state = newState();
    const started = await startBuild(state, { network: { mirrors: parseMirrors(`docker.io=${stalling.host}`) } });
    const vertex = sourceVertex(`docker-image://${NAME}`, {}, platform);
    const snapshot = await started.sources.snapshot(vertex, started.context);
    stalls = true;
    const reading = failure(snapshot.files.lookup('etc/two'));
    await begun;
    await started.close();
    expect(await reading).toMatchObject({ code: 'cancelled' });
    const left = execFileSync('find', [join(state, 'tmp'), '-type', 'f', '-not', '-name', '*.lock'], {
      encoding: 'utf8',
    });
    expect(left).toBe('');
    await stalling.close();
  });
});

describe('an OCI layout', () => {
  it('is resolved by tag, by digest, and alone', async () => {
    const started = await build(newState());
    const { sources } = started;
    const byTag = await sources.resolveImage(`oci-layout://${layout}:latest`, platform, 'oci-layout', undefined);
    expect(byTag.ref).toBe(`oci-layout://${layout}:latest@${byTag.digest}`);
    for (const ref of [layout, `oci-layout://${layout}@${byTag.digest}`, `${layout}:latest@${byTag.digest}`]) {
      expect(await sources.resolveImage(ref, platform, 'oci-layout', undefined)).toMatchObject({
        digest: byTag.digest,
      });
    }
    requests();
    const vertex = sourceVertex(`oci-layout://x@${byTag.digest}`, { 'oci.store': layout }, platform);
    expect(await read(await sources.snapshot(vertex, started.context), 'etc/two')).toBe('second');
    expect(requests()).toEqual([]);
  });

  it.each([
    ['no such tag', () => `${layout}:nope`, 'image-not-found', 'nope'],
    ['no such digest', () => `${layout}@sha256:${'0'.repeat(64)}`, 'image-not-found', 'has no'],
    ['no such layout', () => join(dir, 'nowhere:latest'), 'image-not-found', 'nowhere has no index.json'],
  ])('%s', async (_, ref, code, message) => {
    const { sources } = await build(newState());
    expect(await failure(sources.resolveImage(ref(), platform, 'oci-layout', undefined))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  it('is told from a directory with a colon', async () => {
    const odd = join(dir, 'odd:v1');
    mkdirSync(odd);
    expect(await parseLayoutReference(odd)).toEqual({ path: odd, tag: undefined, digest: undefined });
    expect(await parseLayoutReference(`oci-layout://${odd}:v2`)).toEqual({ path: odd, tag: 'v2', digest: undefined });
  });
});

describe('what cannot be', () => {
  const location = {
    file: { filename: 'Dockerfile', text: 'FROM nope', language: 'Dockerfile' },
    ranges: [{ start: { line: 1, column: 0 }, end: { line: 1, column: 9 } }],
  } as const;

  it('an image that is not there points to its FROM', async () => {
    const started = await build(newState());
    const error = await failure(
      started.sources.resolveImage('docker.io/library/nope:latest', platform, 'docker-image', location),
    );
    expect(error).toMatchObject({ code: 'image-not-found', location });
    expect(started.events.at(-1)).toMatchObject({ type: 'vertex', error: expect.any(String) as string });
  });

  /** A layout of one image whose documents are changed before they are written. */
  function broken(change: {
    readonly diffIds?: readonly string[];
    readonly blob?: (bytes: Buffer) => Buffer;
    readonly config?: (config: Record<string, unknown>) => unknown;
    readonly index?: (manifest: object) => object;
  }): string {
    const path = join(dir, `broken-${states++}`);
    mkdirSync(join(path, 'blobs/sha256'), { recursive: true });
    const put = (bytes: Buffer, stored = bytes): { digest: string; size: number } => {
      const hex = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(path, 'blobs/sha256', hex), stored);
      return { digest: `sha256:${hex}`, size: bytes.length };
    };
    const tar = execFileSync('tar', ['-C', join(dir, 'top'), '-cf', '-', 'etc/two']);
    const layer = { mediaType: 'application/vnd.oci.image.layer.v1.tar', ...put(tar, change.blob?.(tar)) };
    const diffIds = change.diffIds ?? [layer.digest];
    const config = { ...platform, config: {}, rootfs: { type: 'layers', diff_ids: diffIds } };
    const manifest = {
      schemaVersion: 2,
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
      config: {
        mediaType: 'application/vnd.oci.image.config.v1+json',
        ...put(Buffer.from(JSON.stringify(change.config?.(config) ?? config))),
      },
      layers: [layer],
    };
    const entry = { mediaType: manifest.mediaType, ...put(Buffer.from(JSON.stringify(manifest))) };
    const top = change.index?.(entry) ?? entry;
    writeFileSync(join(path, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    writeFileSync(join(path, 'index.json'), JSON.stringify({ schemaVersion: 2, manifests: [top] }));
    return path;
  }

  const zero = `sha256:${'0'.repeat(64)}`;
  it.each([
    ['fewer diff IDs than layers', { diffIds: [] }, 'hostile'],
    ['a config that is none', { config: () => ({ some: 'chart' }) }, 'unsupported'],
    ['a config that is an array', { config: () => [] }, 'hostile'],
  ])('%s', async (_, change, code) => {
    const { sources } = await build(newState());
    expect(await failure(sources.resolveImage(broken(change), platform, 'oci-layout', undefined))).toMatchObject({
      code,
    });
  });

  it.each([
    ['a layer with another diff ID', { diffIds: [zero] }],
    [
      'a layer that was changed',
      { blob: (bytes: Buffer) => Buffer.concat([bytes.subarray(0, 520), Buffer.from('X'), bytes.subarray(521)]) },
    ],
    ['a layer that was cut', { blob: (bytes: Buffer) => bytes.subarray(0, 700) }],
  ])('%s is refused, and nothing of it is kept', async (_, change) => {
    const started = await build(newState());
    const path = broken(change);
    const { digest } = await started.sources.resolveImage(path, platform, 'oci-layout', undefined);
    const vertex = sourceVertex(`oci-layout://x@${digest}`, { 'oci.store': path }, platform);
    const snapshot = await started.sources.snapshot(vertex, started.context);
    const id = snapshot.layers[0]?.id ?? '';
    expect(await failure(snapshot.files.lookup('etc/two'))).toMatchObject({ code: 'digest-mismatch' });
    expect(started.store.layer(id)).toMatchObject({ hasTree: false });
  });

  it('a blob that lies about its diff ID does not spoil the layer for an honest image', async () => {
    const started = await build(newState());
    const honest = broken({});
    const tar = execFileSync('tar', ['-C', join(dir, 'top'), '-cf', '-', 'etc/two']);
    const diffId = `sha256:${createHash('sha256').update(tar).digest('hex')}`;
    const liar = broken({ diffIds: [diffId], blob: undefined, config: (config) => config, index: (entry) => entry });
    // The liar's layer is another tar under the honest one's diff ID.
    const other = execFileSync('tar', ['-C', join(dir, 'base'), '-cf', '-', 'etc/one']);
    const hex = createHash('sha256').update(other).digest('hex');
    writeFileSync(join(liar, 'blobs/sha256', hex), other);
    const config = Buffer.from(
      JSON.stringify({ ...platform, config: {}, rootfs: { type: 'layers', diff_ids: [diffId] } }),
    );
    const put = (bytes: Buffer): string => {
      const name = createHash('sha256').update(bytes).digest('hex');
      writeFileSync(join(liar, 'blobs/sha256', name), bytes);
      return `sha256:${name}`;
    };
    const manifest = Buffer.from(
      JSON.stringify({
        schemaVersion: 2,
        mediaType: 'application/vnd.oci.image.manifest.v1+json',
        config: { mediaType: 'application/vnd.oci.image.config.v1+json', digest: put(config), size: config.length },
        layers: [{ mediaType: 'application/vnd.oci.image.layer.v1.tar', digest: `sha256:${hex}`, size: other.length }],
      }),
    );
    const lie = sourceVertex(`oci-layout://x@${put(manifest)}`, { 'oci.store': liar }, platform);
    const lying = await started.sources.snapshot(lie, started.context);
    expect(await failure(lying.files.lookup('etc/one'))).toMatchObject({ code: 'digest-mismatch' });

    const { digest } = await started.sources.resolveImage(honest, platform, 'oci-layout', undefined);
    const truth = sourceVertex(`oci-layout://x@${digest}`, { 'oci.store': honest }, platform);
    const snapshot = await started.sources.snapshot(truth, started.context);
    expect(snapshot.layers[0]?.id).toBe(lying.layers[0]?.id);
    expect(await read(snapshot, 'etc/two')).toBe('second');
  });

  it('an index without the platform says which it has', async () => {
    const path = broken({ index: (entry) => ({ ...entry, platform: { os: 'linux', architecture: 's390x' } }) });
    const index = readFileSync(join(path, 'index.json'));
    const hex = createHash('sha256').update(index).digest('hex');
    writeFileSync(join(path, 'blobs/sha256', hex), index);
    const { sources } = await build(newState());
    expect(
      await failure(sources.resolveImage(`${path}@sha256:${hex}`, platform, 'oci-layout', undefined)),
    ).toMatchObject({
      code: 'image-not-found',
      hint: 'it has linux/s390x',
    });
  });

  it('a layer whose blob and tree are gone', async () => {
    const started = await build(newState());
    expect(() => started.sources.storeLayer('zzzz')).toThrow(expect.objectContaining({ code: 'store' }));
    const id = started.store.newLayer();
    await started.store.writeTree(
      id,
      new Map([['x', { type: 'file', mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, size: 5 }]]),
    );
    const layer = started.sources.storeLayer(id);
    expect(await failure(layer.locate(['x']))).toMatchObject({ code: 'store' });
    expect(await failure(layer.digests(['x']))).toMatchObject({ code: 'store' });
    expect(await failure(layer.locate(['y']))).toMatchObject({ code: 'source-missing' });
    expect(await layer.blob()).toBeUndefined();
  });
});

describe('a layer with a directory', () => {
  it('gives paths in it, and hashes what is asked for once', async () => {
    const state = newState();
    const started = await build(state);
    const id = started.store.newLayer();
    mkdirSync(join(started.store.layerDir(id), 'a'), { recursive: true });
    writeFileSync(join(started.store.layerDir(id), 'a/f'), 'content');
    const meta = { mode: 0o644, uid: 0, gid: 0, mtime: 0, mtimeNsec: 0 };
    await started.store.writeTree(
      id,
      new Map([
        ['a/f', { type: 'file', size: 7, ...meta }],
        ['a/g', { type: 'file', size: 7, hardlink: 'a/f', ...meta }],
      ]),
    );
    started.store.saveLayer(id, { dir: true });
    const layer = started.sources.storeLayer(id);
    expect([...(await layer.locate(['a/g']))]).toEqual([{ kind: 'file', path: `${started.store.layerDir(id)}/a/f` }]);
    const digest = `sha256:${createHash('sha256').update('content').digest('hex')}`;
    expect(await layer.digests(['a/g', 'a/f'])).toEqual([digest, digest]);
    writeFileSync(join(started.store.layerDir(id), 'a/f'), 'changed');
    started.store.sync();
    const second = await build(state);
    expect(await second.sources.storeLayer(id).digests(['a/f'])).toEqual([digest]);
  });
});
