/** Layers that registries do not keep (image-spec, Non-Distributable Layers): left where they are, and said so. */
import { createHash } from 'node:crypto';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';
import { rawTar } from '../support/tar.ts';

const bench = new Bench();
let registry: TestRegistry;

const sha256 = (data: Uint8Array | string): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;
const FOREIGN = {
  docker: 'application/vnd.docker.image.rootfs.foreign.diff.tar.gzip',
  oci: 'application/vnd.oci.image.layer.nondistributable.v1.tar+gzip',
} as const;
const TYPES = {
  docker: {
    manifest: 'application/vnd.docker.distribution.manifest.v2+json',
    config: 'application/vnd.docker.container.image.v1+json',
    layer: 'application/vnd.docker.image.rootfs.diff.tar.gzip',
  },
  oci: {
    manifest: 'application/vnd.oci.image.manifest.v1+json',
    config: 'application/vnd.oci.image.config.v1+json',
    layer: 'application/vnd.oci.image.layer.v1.tar+gzip',
  },
} as const;
const URL_OF_LAYER = 'https://files.example/layer.tar.gz';
const foreignTar = rawTar([{ name: 'foreign', data: 'not here' }]);
const foreign = gzipSync(foreignTar);
const ownTar = rawTar([{ name: 'own', data: 'here' }]);

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  await Promise.all([putImage('docker'), putImage('oci')]);
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

/** As `win/FORM:1`: a foreign layer that the registry does not have, below one that it has. */
async function putImage(form: 'docker' | 'oci'): Promise<void> {
  const repository = `http://${registry.host}/v2/win/${form}`;
  const put = async (data: Uint8Array) => {
    const opened = await fetch(`${repository}/blobs/uploads/`, { method: 'POST' });
    const location = new URL(opened.headers.get('location') ?? '', repository);
    location.searchParams.set('digest', sha256(data));
    expect((await fetch(location, { method: 'PUT', body: new Uint8Array(data) })).status).toBe(201);
    return { digest: sha256(data), size: data.length };
  };
  const types = TYPES[form];
  const rootfs = { type: 'layers', diff_ids: [sha256(foreignTar), sha256(ownTar)] };
  const config = { os: 'linux', architecture: process.arch === 'arm64' ? 'arm64' : 'amd64', config: {}, rootfs };
  const manifest = {
    schemaVersion: 2,
    mediaType: types.manifest,
    config: { mediaType: types.config, ...(await put(Buffer.from(JSON.stringify(config)))) },
    layers: [
      { mediaType: FOREIGN[form], digest: sha256(foreign), size: foreign.length, urls: [URL_OF_LAYER] },
      { mediaType: types.layer, ...(await put(gzipSync(ownTar))) },
    ],
  };
  const answer = await fetch(`${repository}/manifests/1`, {
    method: 'PUT',
    body: JSON.stringify(manifest),
    headers: { 'content-type': types.manifest },
  });
  expect(answer.status, await answer.text()).toBe(201);
}

interface Layer {
  readonly mediaType: string;
  readonly digest: string;
  readonly urls?: readonly string[];
}
const layersOf = (name: string): readonly Layer[] =>
  (
    JSON.parse(execFileSync('skopeo', ['inspect', '--raw', '--tls-verify=false', `docker://${name}`]).toString()) as {
      layers: readonly Layer[];
    }
  ).layers;
const hasBlob = async (repository: string, digest: string): Promise<boolean> =>
  (await fetch(`http://${registry.host}/v2/${repository}/blobs/${digest}`, { method: 'HEAD' })).ok;
const fresh = (state: string) => ({ env: { SLIPWAY_ROOT: join(bench.dir, state) } });

describe.each(['docker', 'oci'] as const)('a foreign layer of the %s form', (form) => {
  const state = fresh(`state-${form}`);
  const kept = { mediaType: FOREIGN[form], digest: sha256(foreign), urls: [URL_OF_LAYER] };

  it('is left out by pull and by push, with a note each', async () => {
    const name = `${registry.host}/win/${form}:1`;
    const pulled = await bench.run(['pull', name], state);
    expect(pulled, pulled.stderr).toMatchObject({ code: 0 });
    expect(pulled.stderr).toContain(`the foreign layer ${kept.digest} is not pulled`);

    const other = `${registry.host}/moved/${form}:1`;
    expect(await bench.run(['tag', name, other], state)).toMatchObject({ code: 0 });
    const pushed = await bench.run(['push', other], state);
    expect(pushed, pushed.stderr).toMatchObject({ code: 0 });
    expect(pushed.stderr).toContain(`the foreign layer ${kept.digest} is not pushed`);
    const layers = layersOf(other);
    expect(layers).toMatchObject([kept, { mediaType: TYPES[form].layer }]);
    expect(await hasBlob(`moved/${form}`, kept.digest)).toBe(false);
    expect(await hasBlob(`moved/${form}`, layers[1]?.digest ?? '')).toBe(true);

    const saved = await bench.run(['save', '--format', 'oci', '-o', join(bench.dir, `${form}.tar`), name], state);
    expect(saved, saved.stderr).toMatchObject({ code: 0 });
    const list = execFileSync('tar', ['-tf', join(bench.dir, `${form}.tar`)], { encoding: 'utf8' });
    expect(list).not.toContain(kept.digest.slice('sha256:'.length));
    expect(list).toContain(layers[1]?.digest.slice('sha256:'.length));
  });

  it('is named, not sent, by a build on top of it', async () => {
    const context = bench.context(`app-${form}`, {
      Dockerfile: `FROM ${registry.host}/win/${form}:1\nCOPY Dockerfile /d\n`,
    });
    const name = `${registry.host}/app/${form}:1`;
    const layout = join(bench.dir, `layout-${form}`);
    const outputs = ['-o', `type=image,name=${name},push=true`, '-o', `type=oci,tar=false,dest=${layout}`];
    const built = await bench.run(['build', '--progress', 'plain', ...outputs, context], fresh(`state-build-${form}`));
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).toContain(
      `the foreign layer ${kept.digest} is not handed on; it is to be had from ${URL_OF_LAYER}`,
    );
    const layers = layersOf(name);
    expect(layers).toHaveLength(3);
    expect(layers[0]).toMatchObject(kept);
    expect(await hasBlob(`app/${form}`, kept.digest)).toBe(false);
    for (const { digest } of layers.slice(1)) {
      expect(await hasBlob(`app/${form}`, digest)).toBe(true);
      expect(readFileSync(join(layout, 'blobs', digest.replace(':', '/'))).length).toBeGreaterThan(0);
    }
    expect(() => readFileSync(join(layout, 'blobs', kept.digest.replace(':', '/')))).toThrow('ENOENT');
  });

  it.each([
    ['copied from it', '/foreign', 'FROM scratch\nCOPY --from=@image /foreign /f\n', 'not pulled: its files are taken'],
    ['run on it', '', 'FROM @image\nRUN ["/own"]\n', `it is at ${URL_OF_LAYER}`],
  ])('fails what is %s, with why', async (what, path, dockerfile, why) => {
    const context = bench.context(`${what}-${form}`, {
      Dockerfile: dockerfile.replace('@image', `${registry.host}/win/${form}:1`),
    });
    const args = ['build', '--progress', 'plain', '-o', join(bench.dir, 'never'), context];
    const built = await bench.run(args, fresh(`state-${what}-${form}`));
    expect(built.code, built.stderr).toBeGreaterThan(0);
    for (const text of [kept.digest, 'foreign layer', path, why]) expect(built.stderr).toContain(text);
    expect(built.stderr.match(/^error: /gm)).toHaveLength(1);
  });
});
