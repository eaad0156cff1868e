/** Every attribute of `-o`, with the command, by what it makes. */
import { execFileSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync, zstdDecompressSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines } from '../support/engines.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const EPOCH = 1_600_000_000;
const ARCHITECTURE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const OCI_LAYER = 'application/vnd.oci.image.layer.v1.tar';
const DOCKER_LAYER = 'application/vnd.docker.image.rootfs.diff.tar';

interface Manifest {
  readonly mediaType: string;
  readonly config: { readonly mediaType: string; readonly digest: string };
  readonly layers: readonly {
    readonly mediaType: string;
    readonly digest: string;
    readonly size: number;
    readonly annotations?: Readonly<Record<string, string>>;
  }[];
  readonly annotations?: Readonly<Record<string, string>>;
}

const bench = new Bench();
let registry: TestRegistry;
let context = '';
let base = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  base = busyboxLayout(bench.dir);
  registry.push(base, 'busybox:latest');
  context = bench.context('app', {
    Dockerfile: `FROM ${registry.host}/library/busybox\nRUN seq 1 20000 > /data && mkdir /d && echo x > /d/f\n`,
  });
});
afterAll(async () => {
  await registry.stop();
  bench.dispose();
});

let count = 0;
const fresh = (word: string): string => join(bench.dir, `${word}-${++count}`);

const sha256 = (data: Uint8Array): string => `sha256:${createHash('sha256').update(data).digest('hex')}`;

/** The image of a layout, each blob checked against its digest. */
function layoutOf(directory: string) {
  const read = (digest: string): Buffer => {
    const data = readFileSync(join(directory, 'blobs', digest.replace(':', '/')));
    expect(sha256(data)).toBe(digest);
    return data;
  };
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    readonly manifests: readonly [
      { readonly digest: string; readonly annotations: Readonly<Record<string, string>> },
      ...unknown[],
    ];
  };
  const [entry] = index.manifests;
  const manifest = JSON.parse(read(entry.digest).toString()) as Manifest;
  const config = JSON.parse(read(manifest.config.digest).toString()) as {
    readonly rootfs: { readonly diff_ids: readonly string[] };
  };
  return {
    entry,
    manifest,
    layers: manifest.layers.map(({ digest }) => read(digest)),
    diffIds: config.rootfs.diff_ids,
  };
}

/** What the registry has under a name. */
async function pushed(repository: string, reference: string) {
  const answer = await fetch(`http://${registry.host}/v2/${repository}/manifests/${reference}`, {
    headers: {
      accept: 'application/vnd.oci.image.manifest.v1+json, application/vnd.docker.distribution.manifest.v2+json',
    },
  });
  const text = await answer.text();
  return { status: answer.status, type: answer.headers.get('content-type'), digest: sha256(Buffer.from(text)), text };
}
const manifestOf = ({ text }: { readonly text: string }): Manifest => JSON.parse(text) as Manifest;

const tarList = (file: string): readonly string[] =>
  execFileSync('tar', ['-tf', file], { encoding: 'utf8' }).trim().split('\n');

onBothEngines(bench, (engine) => {
  const build = async (...outputs: readonly string[]) => {
    const built = await engine.build([...outputs.flatMap((output) => ['-o', output]), context], {
      env: { SOURCE_DATE_EPOCH: `${EPOCH}` },
    });
    expect(built, built.stderr).toMatchObject({ code: 0 });
    return built;
  };

  const layout = async (attributes: string) => {
    const dest = fresh('layout');
    await build(`type=oci,tar=false,dest=${dest}${attributes === '' ? '' : `,${attributes}`}`);
    return layoutOf(dest);
  };

  describe('compression', () => {
    const MAGIC = { gzip: '1f8b', zstd: '28b52ffd', estargz: '1f8b' } as const;
    const kinds = [
      ['gzip', `${OCI_LAYER}+gzip`, gunzipSync, MAGIC.gzip],
      ['zstd', `${OCI_LAYER}+zstd`, zstdDecompressSync, MAGIC.zstd],
      ['estargz', `${OCI_LAYER}+gzip`, gunzipSync, MAGIC.estargz],
      ['uncompressed', OCI_LAYER, (data: Buffer) => data, undefined],
    ] as const;
    // A BuildKit that was compiled with Go 1.27, as Debian's, breaks down when it writes eStargz.
    const tried = kinds.filter(([kind]) => engine.name === 'embedded' || kind !== 'estargz');
    it.each(tried)(
      '%s, of new layers; with force-compression of all',
      async (compression, mediaType, unpack, magic) => {
        const own = await layout(`compression=${compression}`);
        expect(own.manifest.layers.map((layer) => layer.mediaType)).toEqual([`${OCI_LAYER}+gzip`, mediaType]);
        const forced = await layout(`compression=${compression},force-compression=true`);
        expect(forced.manifest.layers.map((layer) => layer.mediaType)).toEqual([mediaType, mediaType]);
        for (const { layers, diffIds, manifest } of [own, forced]) {
          const [, top = Buffer.alloc(0)] = layers;
          expect(sha256(unpack(top))).toBe(diffIds[1]);
          if (magic !== undefined) expect(top.toString('hex', 0, magic.length / 2)).toBe(magic);
          const tocs = manifest.layers.filter(
            ({ annotations = {} }) => 'containerd.io/snapshot/stargz/toc.digest' in annotations,
          );
          expect(tocs).toHaveLength(compression === 'estargz' ? (manifest === own.manifest ? 1 : 2) : 0);
        }
        expect(own.manifest.layers[0]?.digest).toBe((await layout('')).manifest.layers[0]?.digest);
      },
    );

    // What levels mean is for the library that a daemon has: its highest may make more of this text than its lowest.
    const levels = [['gzip', 9] as const, ['zstd', 19] as const].filter(() => engine.name === 'embedded');
    it.each(levels)('compression-level of %s: more is smaller', async (compression, most) => {
      const sizes: number[] = [];
      const dockerfile = `FROM scratch\nCOPY text /\n`;
      let seed = 1;
      const random = (): number => (seed = (seed * 1103515245 + 12345) % 2147483648);
      const vocabulary = Array.from({ length: 3000 }, () => random().toString(36));
      const text = Array.from({ length: 60_000 }, () => vocabulary[random() % 3000]).join(' ');
      for (const level of [1, most]) {
        const words = bench.context('words', { Dockerfile: dockerfile, text: `${level} ${text}` });
        const dest = fresh('level');
        const output = `type=oci,tar=false,dest=${dest},compression=${compression},compression-level=${level}`;
        const built = await engine.build(['-o', output, words]);
        expect(built, built.stderr).toMatchObject({ code: 0 });
        sizes.push(layoutOf(dest).manifest.layers[0]?.size ?? 0);
      }
      const [fast = 0, small = 0] = sizes;
      expect(small).toBeLessThan(fast);
    });

    // Values are for a daemon to judge: it says so late, and not of every one.
    it.each([
      ['compression=lzma', 'gzip or zstd or estargz or uncompressed', 'lzma'],
      ['compression-level=99', 'compression-level', undefined],
      ['compresion=zstd', 'did you mean compression', 'did you mean compression'],
      ['force-compression=maybe', 'force-compression', 'force-compression'],
    ])('%s is refused', async (attribute, here, there) => {
      const result = await engine.build(['-o', `type=oci,tar=false,dest=${fresh('never')},${attribute}`, context]);
      const says = engine.name === 'embedded' ? here : there;
      if (says === undefined) return;
      expect(result.code, result.stderr).toBe(engine.name === 'embedded' || says.startsWith('did') ? 2 : 6);
      expect(result.stderr).toContain(says);
    });
  });

  describe('type=image', () => {
    it('name: several names, in the local store only', async () => {
      const { stderr } = await build('type=image,"name=local/one:1,local/two:2"');
      expect(stderr.includes('SOURCE_DATE_EPOCH does not bound the times')).toBe(engine.name === 'buildkit');
      expect(await engine.images()).toEqual(expect.arrayContaining(['local/one:1', 'local/two:2']));
    });

    it('push=true: in the registry and in the store', async () => {
      await build(`type=image,name=${registry.host}/out/push:1,push=true,unpack=false,oci-mediatypes=true`);
      const found = await pushed('out/push', '1');
      expect(found).toMatchObject({ status: 200, type: 'application/vnd.oci.image.manifest.v1+json' });
      expect(manifestOf(found).layers).toHaveLength(2);
      expect(await engine.images()).toContain(`${registry.host}/out/push:1`);
    });

    it('push-by-digest=true: under its digest and no tag', async () => {
      const metadata = fresh('metadata');
      const built = await engine.build([
        ...['--metadata-file', metadata, '-o'],
        `type=image,name=${registry.host}/out/digest,push=true,push-by-digest=true`,
        context,
      ]);
      expect(built, built.stderr).toMatchObject({ code: 0 });
      const { 'containerimage.digest': digest = '' } = JSON.parse(readFileSync(metadata, 'utf8')) as Record<
        string,
        string
      >;
      expect(await pushed('out/digest', digest)).toMatchObject({ status: 200, digest });
      expect(await pushed('out/digest', 'latest')).toMatchObject({ status: 404 });
    });

    it('store=false, as type=registry: in the registry alone', async () => {
      await build(`type=image,name=${registry.host}/out/away:1,push=true,store=false`);
      await build(`type=registry,name=${registry.host}/out/away:2`);
      for (const tag of ['1', '2']) expect(await pushed('out/away', tag)).toMatchObject({ status: 200 });
      expect((await engine.images()).filter((name) => name.includes('out/away'))).toEqual([]);
    });

    it('compression, level, force-compression, media types and annotations go along with a push', async () => {
      await build(
        `type=registry,name=${registry.host}/out/zstd:1,compression=zstd,compression-level=19,force-compression=true,oci-mediatypes=true,annotation.org.example.a=b`,
      );
      const zstd = manifestOf(await pushed('out/zstd', '1'));
      expect(zstd.layers.map(({ mediaType }) => mediaType)).toEqual([`${OCI_LAYER}+zstd`, `${OCI_LAYER}+zstd`]);
      expect(zstd.annotations).toEqual({ 'org.example.a': 'b' });

      await build(`type=registry,name=${registry.host}/out/docker:1,oci-mediatypes=false`);
      const docker = await pushed('out/docker', '1');
      expect(docker.type).toBe('application/vnd.docker.distribution.manifest.v2+json');
      expect(manifestOf(docker).config.mediaType).toBe('application/vnd.docker.container.image.v1+json');
      expect(manifestOf(docker).layers.map(({ mediaType }) => mediaType)).toEqual([
        `${DOCKER_LAYER}.gzip`,
        `${DOCKER_LAYER}.gzip`,
      ]);
    });

    it('without a name nothing can be pushed', async () => {
      for (const output of ['type=image,push=true', 'type=registry']) {
        const result = await engine.build(['-o', output, context]);
        expect(result.code, result.stderr).toBe(2);
        expect(result.stderr).toContain('a push needs a name');
      }
    });
  });

  it('annotations at every level', async () => {
    const { entry, manifest } = await layout(
      `annotation.a=1,annotation-manifest.b=2,annotation-manifest[linux/${ARCHITECTURE}].c=3,annotation-manifest-descriptor.e=5`,
    );
    // A daemon has no platforms where there is only one.
    expect(manifest.annotations).toEqual({ a: '1', b: '2', ...(engine.name === 'embedded' && { c: '3' }) });
    expect(entry.annotations).toMatchObject({ e: '5' });

    const dest = fresh('index');
    const scratch = bench.context('scratch', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    const output = `type=oci,tar=false,dest=${dest},annotation-index.f=6,annotation-index-descriptor.g=7,annotation-manifest-descriptor[linux/arm64].h=8`;
    const built = await engine.build(['--platform', 'linux/amd64,linux/arm64', '-o', output, scratch]);
    expect(built, built.stderr).toMatchObject({ code: 0 });
    const top = JSON.parse(readFileSync(join(dest, 'index.json'), 'utf8')) as {
      manifests: { digest: string; annotations: Record<string, string> }[];
    };
    expect(top.manifests[0]?.annotations).toMatchObject({ g: '7' });
    const path = join(dest, 'blobs', top.manifests[0]?.digest.replace(':', '/') ?? '');
    const index = JSON.parse(readFileSync(path, 'utf8')) as {
      annotations: Record<string, string>;
      manifests: { annotations?: Record<string, string>; platform: { architecture: string } }[];
    };
    expect(index.annotations).toEqual({ f: '6' });
    expect(index.manifests.map(({ annotations, platform }) => [platform.architecture, annotations])).toEqual([
      ['amd64', undefined],
      ['arm64', { h: '8' }],
    ]);
  });

  it('rewrite-timestamp: with SOURCE_DATE_EPOCH, times in our own layers; false leaves them', async () => {
    const timeOf = ({ layers }: { readonly layers: readonly Buffer[] }): number => {
      const listing = execFileSync('tar', ['-tvf', '-', '--full-time', '--utc'], {
        input: gunzipSync(layers[1] ?? Buffer.alloc(0)),
        encoding: 'utf8',
      });
      const line = listing.split('\n').find((one) => one.endsWith(' data')) ?? '';
      return Date.parse(`${/\d{4}-\d\d-\d\d \d\d:\d\d:\d\d/.exec(line)?.[0] ?? ''}Z`) / 1000;
    };
    expect(timeOf(await layout('rewrite-timestamp=true'))).toBe(EPOCH);
    expect(timeOf(await layout('rewrite-timestamp=false'))).toBeGreaterThan(EPOCH);
    expect(timeOf(await layout(`source-date-epoch=${EPOCH + 100}`))).toBe(EPOCH + 100);
  });

  describe('archives', () => {
    it.each([
      ['oci', ['index.json', 'oci-layout'], ['manifest.json']],
      ['docker', ['index.json', 'oci-layout', 'manifest.json'], []],
    ] as const)(
      'type=%s: tar=true is a file, tar=false a directory, with the same content',
      async (type, has, lacks) => {
        const [file, directory] = [`${fresh(type)}.tar`, fresh(type)];
        await build(`type=${type},dest=${file},name=app:1`, `type=${type},tar=false,dest=${directory},name=app:1`);
        const names = tarList(file);
        for (const name of has) expect(names).toContain(name);
        for (const name of lacks) expect(names).not.toContain(name);
        const unpacked = fresh('unpacked');
        mkdirSync(unpacked);
        execFileSync('tar', ['-xf', file, '-C', unpacked]);
        // The layout that is assembled here of a daemon's blobs has no second index for old readers of archives.
        const ours = engine.name === 'buildkit' ? ['--exclude=manifest.json'] : [];
        execFileSync('diff', ['-r', '--exclude=index.json', ...ours, unpacked, directory]);
        const index = (path: string): unknown => JSON.parse(readFileSync(join(path, 'index.json'), 'utf8'));
        expect(index(directory)).toEqual(index(unpacked));
        expect(layoutOf(directory).entry.annotations).toMatchObject({
          'io.containerd.image.name': 'docker.io/library/app:1',
          'org.opencontainers.image.ref.name': '1',
        });
        execFileSync('skopeo', ['inspect', type === 'oci' ? `oci-archive:${file}:1` : `docker-archive:${file}:app:1`]);
      },
    );

    it('dest=- and no dest of type=oci are standard output', async () => {
      for (const output of ['type=oci,dest=-', 'type=oci']) {
        const built = await engine.buildBytes(['-o', output, context]);
        expect(built.code, built.stderr).toBe(0);
        const list = execFileSync('tar', ['-tf', '-'], { input: built.stdout, encoding: 'utf8' });
        expect(list).toContain('oci-layout');
      }
    });
  });

  describe('files', () => {
    it('type=local, a bare path, mode=delete', async () => {
      const dest = fresh('files');
      await build(`type=local,dest=${dest}`);
      expect(readFileSync(join(dest, 'd/f'), 'utf8')).toBe('x\n');
      bench.context(dest.slice(bench.dir.length + 1), { mine: 'm' });
      await build(dest);
      expect(existsSync(join(dest, 'mine'))).toBe(true);
      await build(`type=local,dest=${dest},mode=delete`);
      expect(existsSync(join(dest, 'mine'))).toBe(false);
      expect(readdirSync(dest)).toEqual(expect.arrayContaining(['bin', 'd', 'data']));
    });

    it('type=tar, - alone, platform-split', async () => {
      const file = `${fresh('files')}.tar`;
      await build(`type=tar,dest=${file}`);
      expect(tarList(file)).toEqual(expect.arrayContaining(['d/', 'd/f', 'data']));
      const split = `${fresh('files')}.tar`;
      await build(`type=tar,dest=${split},platform-split=true`);
      // A daemon has no platforms where there is only one.
      expect(tarList(split)).toContain(engine.name === 'embedded' ? `linux_${ARCHITECTURE}/d/f` : 'd/f');
      const { code, stdout } = await engine.buildBytes(['-o', '-', context], {
        env: { SOURCE_DATE_EPOCH: `${EPOCH}` },
      });
      expect(code).toBe(0);
      expect(stdout.equals(readFileSync(file))).toBe(true);
    });
  });

  it('several at once: each has the same image', async () => {
    const [archive, docker, directory, files, tar] = ['a', 'b', 'c', 'd', 'e'].map(fresh);
    await build(
      `type=registry,name=${registry.host}/out/many:1,oci-mediatypes=true`,
      `type=oci,dest=${archive},name=many:1`,
      `type=docker,dest=${docker},name=many:1,oci-mediatypes=true`,
      `type=oci,tar=false,dest=${directory}`,
      `type=local,dest=${files}`,
      `type=tar,dest=${tar}`,
    );
    const { digest } = layoutOf(directory ?? '').entry;
    // Docker does not bound the times of an image that passes through its store.
    const { status, digest: inRegistry } = await pushed('out/many', '1');
    expect(engine.name === 'embedded' ? inRegistry : status).toBe(engine.name === 'embedded' ? digest : 200);
    for (const file of [archive, docker]) {
      const index = execFileSync('tar', ['-xOf', file ?? '', 'index.json'], { encoding: 'utf8' });
      expect(index).toContain(digest);
    }
    expect(readFileSync(join(files ?? '', 'd/f'), 'utf8')).toBe('x\n');
    expect(tarList(tar ?? '')).toContain('d/f');
  });

  it('several at once: one that cannot be leaves nothing of the others', async () => {
    const file = fresh('never');
    const name = `${registry.host}/out/never:1`;
    const result = await engine.build([
      ...['-o', `type=oci,dest=${file}`, '-o', `type=registry,name=${name}`],
      ...['-o', `type=tar,dest=${join(bench.dir, 'no/such/directory.tar')}`, context],
    ]);
    expect(result.code, result.stderr).not.toBe(0);
    expect(result.stderr).toContain('no/such');
    expect(existsSync(file)).toBe(false);
    expect(await pushed('out/never', '1')).toMatchObject({ status: 404 });
  });
});
