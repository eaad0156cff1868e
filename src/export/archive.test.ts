import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  readlinkSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { PassThrough, Writable } from 'node:stream';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { ExportInput, ExportResult, Layer } from '../contracts/index.ts';
import { parseImageConfig, parseManifest } from '../image/index.ts';
import { createExporter } from './create-exporter.ts';
import { parseOutput } from './parse-output.ts';
import { META, openFixture, sha256 } from './testing/fixture.ts';
import type { Fixture } from './testing/fixture.ts';

let fixture: Fixture;
let base: Layer;
let top: Layer;
beforeAll(async () => {
  fixture = await openFixture();
  base = fixture.layer({ etc: { type: 'directory', ...META, mode: 0o755 }, 'etc/os': 'test\n', 'etc/gone': 'x' });
  top = fixture.layer({ 'etc/gone': { type: 'whiteout' }, 'app/run': 'binary' });
});
afterAll(() => fixture.close());

const refuse = new Proxy(
  {},
  {
    get: () => {
      throw new Error('no network here');
    },
  },
);
const run = async (
  output: string,
  options: {
    names?: readonly string[];
    input?: ExportInput;
    stdout?: NodeJS.WritableStream;
    env?: Record<string, string>;
  } = {},
): Promise<ExportResult> => {
  const exporter = await createExporter(parseOutput(output), {
    store: fixture.store,
    registry: refuse as never,
    stdout: options.stdout ?? new PassThrough(),
    names: options.names ?? [],
    env: options.env ?? {},
    cwd: fixture.dir,
  });
  return exporter.export([options.input ?? fixture.input([base, top])], fixture.context);
};
const path = (name: string): string => join(fixture.dir, name);
const skopeo = (...args: readonly string[]): string => execFileSync('skopeo', args, { encoding: 'utf8' });
const epoch = { sourceDateEpoch: 1_600_000_000 };

describe('type=oci and type=docker', () => {
  test('an archive that skopeo takes', async () => {
    const { image } = await run('type=oci,dest=a.tar', { names: ['team/app:1'] });
    expect(image).toMatchObject({
      layers: 2,
      names: ['docker.io/team/app:1'],
      mediaType: 'application/vnd.oci.image.manifest.v1+json',
    });
    const seen = JSON.parse(skopeo('inspect', `oci-archive:${path('a.tar')}:1`)) as {
      Digest: string;
      Layers: string[];
    };
    expect(seen.Digest).toBe(image?.digest);
    expect(seen.Layers).toHaveLength(2);
    expect(skopeo('inspect', '--config', `oci-archive:${path('a.tar')}:1`)).toContain('"PATH=/bin"');
  });

  test('the index names the image as BuildKit does', async () => {
    await run('type=oci,dest=named,tar=false', {
      names: ['app', 'localhost:5000/b:2'],
      input: fixture.input([base], epoch),
    });
    const index = JSON.parse(readFileSync(path('named/index.json'), 'utf8')) as {
      manifests: { annotations: object }[];
    };
    const created = { 'org.opencontainers.image.created': '2020-09-13T12:26:40Z' };
    expect(index.manifests.map(({ annotations }) => annotations)).toEqual([
      {
        'io.containerd.image.name': 'docker.io/library/app:latest',
        ...created,
        'org.opencontainers.image.ref.name': 'latest',
      },
      { 'io.containerd.image.name': 'localhost:5000/b:2', ...created, 'org.opencontainers.image.ref.name': '2' },
    ]);
  });

  test('a docker archive that skopeo takes as one and as an OCI layout', async () => {
    await run('type=docker,dest=d.tar', { names: ['app:1'] });
    const seen = JSON.parse(skopeo('inspect', `docker-archive:${path('d.tar')}:app:1`)) as { Layers: string[] };
    expect(seen.Layers).toHaveLength(2);
    skopeo('copy', '-q', `docker-archive:${path('d.tar')}`, `dir:${path('copied')}`);
    skopeo('copy', '-q', `oci-archive:${path('d.tar')}:1`, `oci:${path('copied-oci')}`);
    const [entry] = JSON.parse(execFileSync('tar', ['-xOf', path('d.tar'), 'manifest.json'], { encoding: 'utf8' })) as {
      RepoTags: string[];
    }[];
    expect(entry?.RepoTags).toEqual(['app:1']);
  });

  test('without a name', async () => {
    await run('type=docker,dest=nameless.tar');
    expect(execFileSync('tar', ['-xOf', path('nameless.tar'), 'manifest.json'], { encoding: 'utf8' })).toContain(
      '"RepoTags":null',
    );
    skopeo('copy', '-q', `docker-archive:${path('nameless.tar')}`, `dir:${path('copied-nameless')}`);
  });

  test('an image without layers', async () => {
    await run('type=oci,dest=scratch.tar', { input: fixture.input([]), names: ['s'] });
    expect(
      (JSON.parse(skopeo('inspect', `oci-archive:${path('scratch.tar')}:latest`)) as { Layers: unknown }).Layers ?? [],
    ).toEqual([]);
  });

  test('equal input gives equal bytes, now and forever (golden)', async () => {
    const once = async (name: string): Promise<string> => {
      const layer = fixture.layer({ f: 'the same', d: { type: 'directory', ...META, mode: 0o755 } });
      await run(`type=oci,compression=uncompressed,dest=${name}`, {
        names: ['app'],
        input: fixture.input([layer], epoch),
      });
      return sha256(readFileSync(path(name)));
    };
    const first = await once('one.tar');
    expect(await once('two.tar')).toBe(first);
    expect(first).toBe('sha256:c03f35374350502a88951b98e1dbfe6f865aa668d7cef76a855d5daa6d82b7fd');
  });

  test('a build that was cached whole is the same image later', async () => {
    const first = await run('type=oci,dest=c1.tar', { names: ['app'] });
    await new Promise((resolve) => setTimeout(resolve, 20));
    const second = await run('type=oci,dest=c2.tar', { names: ['app'] });
    expect(second).toEqual(first);
    expect(readFileSync(path('c1.tar')).equals(readFileSync(path('c2.tar')))).toBe(true);
  });

  test.each([
    ['gzip', true, 'application/vnd.oci.image.layer.v1.tar+gzip'],
    ['zstd', true, 'application/vnd.oci.image.layer.v1.tar+zstd'],
    ['uncompressed', true, 'application/vnd.oci.image.layer.v1.tar'],
    ['gzip', false, 'application/vnd.docker.image.rootfs.diff.tar.gzip'],
    ['uncompressed', false, 'application/vnd.docker.image.rootfs.diff.tar'],
  ])('compression=%s,oci-mediatypes=%s', async (compression, oci, mediaType) => {
    const dest = `media-${compression}-${oci}`;
    const output = `type=oci,tar=false,dest=${dest},compression=${compression},oci-mediatypes=${oci}`;
    const { image } = await run(output, { names: ['app'] });
    const blob = path(`${dest}/blobs/sha256/${image?.digest.slice(7) ?? ''}`);
    const manifest = JSON.parse(readFileSync(blob, 'utf8')) as {
      layers: { mediaType: string }[];
      config: { mediaType: string };
    };
    expect(manifest.layers.map((layer) => layer.mediaType)).toEqual([mediaType, mediaType]);
    expect(manifest.config.mediaType).toContain(oci ? 'oci' : 'docker');
  });

  test('compression=estargz: a table of contents for snapshotters, an ordinary image for others', async () => {
    const output = 'type=oci,tar=false,compression=estargz,dest=';
    const { image } = await run(`${output}estargz`, { names: ['app'] });
    const read = (digest: string): Buffer => readFileSync(path(`estargz/blobs/${digest.replace(':', '/')}`));
    const manifest = parseManifest(read(image?.digest ?? ''));
    const config = parseImageConfig(read(manifest.config.digest));
    for (const [i, layer] of manifest.layers.entries()) {
      expect(layer.mediaType).toBe('application/vnd.oci.image.layer.v1.tar+gzip');
      expect(Object.keys(layer.annotations ?? {})).toEqual([
        'containerd.io/snapshot/stargz/toc.digest',
        'io.containers.estargz.uncompressed-size',
      ]);
      expect(sha256(gunzipSync(read(layer.digest)))).toBe(config.rootfs?.diff_ids[i]);
    }
    skopeo('copy', '-q', `oci:${path('estargz')}:latest`, `dir:${path('estargz-copied')}`);
    expect((await run(`${output}estargz-again`, { names: ['app'] })).image).toEqual(image);
    const plain = await run('type=oci,tar=false,dest=not-estargz', { names: ['app'] });
    expect(plain.image?.digest).not.toBe(image?.digest);
  });

  test('annotations', async () => {
    await run('type=oci,tar=false,dest=annotated,annotation.a=b,annotation-manifest-descriptor.c=d', {
      names: ['app'],
    });
    expect(skopeo('inspect', '--raw', `oci:${path('annotated')}:latest`)).toContain('"a": "b"');
    expect(readFileSync(path('annotated/index.json'), 'utf8')).toContain('"c":"d"');
  });

  test('a directory takes a second image in, and moves a name', async () => {
    await run('type=oci,tar=false,dest=shared', { names: ['app:1'] });
    await run('type=oci,tar=false,dest=shared', { names: ['app:2'], input: fixture.input([base]) });
    await run('type=oci,tar=false,dest=shared', { names: ['app:1'], input: fixture.input([base]) });
    const tags = (
      JSON.parse(readFileSync(path('shared/index.json'), 'utf8')) as {
        manifests: { digest: string; annotations: Record<string, string> }[];
      }
    ).manifests;
    expect(tags.map(({ annotations }) => annotations['org.opencontainers.image.ref.name'])).toEqual(['2', '1']);
    expect(tags[0]?.digest).toBe(tags[1]?.digest);
    for (const tag of ['1', '2']) skopeo('inspect', `oci:${path('shared')}:${tag}`);
    expect(readdirSync(path('shared')).sort()).toEqual(['blobs', 'index.json', 'oci-layout']);
  });

  test('stdout', async () => {
    const stdout = new PassThrough();
    const parts: Buffer[] = [];
    stdout.on('data', (part: Buffer) => parts.push(part));
    await run('type=oci,dest=-', { names: ['app'], stdout });
    await run('type=oci,dest=same.tar', { names: ['app'] });
    expect(Buffer.concat(parts).equals(readFileSync(path('same.tar')))).toBe(true);
  });

  test('progress', () => {
    expect(fixture.context.names).toEqual(
      expect.arrayContaining(['exporting layers', 'packing layer', 'sending tarball']),
    );
  });
});

describe('destinations that cannot be', () => {
  test.each<[string, string, object]>([
    [
      'a directory for a file',
      'type=oci,dest=taken',
      { code: 'export', message: expect.stringContaining('is a directory') as string },
    ],
    [
      'no such directory',
      'type=oci,dest=nowhere/x.tar',
      { code: 'export', hint: expect.stringContaining('mkdir') as string },
    ],
    ['a full disk', 'type=oci,dest=/dev/full', { code: 'disk-full' }],
    ['a full disk for a tar', 'type=tar,dest=/dev/full', { code: 'disk-full' }],
    ['a file for a directory', 'type=local,dest=file', { code: 'export' }],
    ['a file for a layout', 'type=oci,tar=false,dest=file', { code: 'export' }],
    ['a name that is none', 'type=oci,dest=x.tar,name=UPPER', { code: 'usage' }],
    ['an index of something else', 'type=oci,tar=false,dest=broken', { code: 'export' }],
  ])('%s', async (_, output, expected) => {
    mkdirSync(path('taken'), { recursive: true });
    mkdirSync(path('broken'), { recursive: true });
    writeFileSync(path('broken/index.json'), '[]');
    writeFileSync(path('file'), 'x');
    await expect(run(output)).rejects.toMatchObject(expected);
  });

  test('a destination keeps its old content when the export fails', async () => {
    writeFileSync(path('old.tar'), 'old');
    const broken: Layer = { ...fixture.layer({ x: 'y' }), locate: () => Promise.reject(new Error('bytes are gone')) };
    await expect(run('type=tar,dest=old.tar', { input: fixture.input([broken]) })).rejects.toThrow('bytes are gone');
    expect(readFileSync(path('old.tar'), 'utf8')).toBe('old');
    expect(readdirSync(fixture.dir).filter((name) => name.startsWith('.'))).toEqual([]);
  });

  test('a link to a file is written through', async () => {
    writeFileSync(path('real.tar'), '');
    symlinkSync('real.tar', path('link.tar'));
    await run('type=oci,dest=link.tar');
    expect(readlinkSync(path('link.tar'))).toBe('real.tar');
    expect(readFileSync(path('real.tar')).length).toBeGreaterThan(1000);
  });

  test('a terminal', async () => {
    const stdout = Object.assign(new PassThrough(), { isTTY: true });
    await expect(run('-', { stdout })).rejects.toMatchObject({ code: 'usage' });
  });

  test('a reader that goes away', async () => {
    const stdout = new Writable({
      write: (_chunk, _encoding, done) =>
        done(Object.assign(new Error('write EPIPE'), { code: 'EPIPE', syscall: 'write' })),
    });
    await expect(run('type=oci,dest=-', { stdout })).rejects.toMatchObject({
      code: 'export',
      message: expect.stringContaining('closed') as string,
    });
  });

  test('into docker, where only its program knows the way', async () => {
    const bin = path('bin');
    mkdirSync(bin);
    const before = process.env['PATH'];
    const env = { DOCKER_HOST: 'ssh://somebody@somewhere' };
    try {
      process.env['PATH'] = bin;
      await expect(run('type=docker', { env })).rejects.toMatchObject({
        code: 'export',
        message: expect.stringContaining('no such program') as string,
      });
      writeFileSync(join(bin, 'docker'), '#!/bin/sh\n/bin/cat > /dev/null; echo "no daemon" >&2; exit 3\n');
      chmodSync(join(bin, 'docker'), 0o755);
      await expect(run('type=docker', { env })).rejects.toMatchObject({ code: 'export', detail: ['no daemon'] });
      writeFileSync(join(bin, 'docker'), `#!/bin/sh\n/bin/cat > ${path('loaded.tar')}\n`);
      await run('type=docker', { env, names: ['app'] });
    } finally {
      process.env['PATH'] = before;
    }
    expect(existsSync(path('loaded.tar'))).toBe(true);
    skopeo('inspect', `docker-archive:${path('loaded.tar')}`);
  });
});

describe('type=tar', () => {
  test('the flattened root', async () => {
    await run('type=tar,dest=root.tar');
    const list = execFileSync('tar', ['-tf', path('root.tar')], { encoding: 'utf8' });
    expect(list.trim().split('\n')).toEqual(['app/', 'app/run', 'etc/', 'etc/os']);
    expect(execFileSync('tar', ['-xOf', path('root.tar'), 'app/run'], { encoding: 'utf8' })).toBe('binary');
  });

  test('with an epoch, and in a directory of the platform', async () => {
    await run('type=tar,dest=split.tar,platform-split=true,source-date-epoch=0');
    const list = execFileSync('tar', ['-tvf', path('split.tar'), '--utc'], { encoding: 'utf8' });
    expect(list).toContain('linux_amd64/etc/os');
    expect(list).not.toContain('2023');
  });
});
