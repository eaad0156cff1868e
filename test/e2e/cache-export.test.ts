import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { TWO_STAGES, cacheBench, files, ran } from '../support/cache-bench.ts';

const kit = cacheBench();
const { bench, machine } = kit;

it('finds everything in a registry cache on an empty machine: manifests and records only', async () => {
  const context = bench.context('first', files());
  const [one, two, three] = [
    `${kit.proxy.host}/team/app:1`,
    `${kit.proxy.host}/team/app:2`,
    `${kit.proxy.host}/team/app:3`,
  ];
  const cache = `${kit.proxy.host}/team/app:cache`;
  const first = await machine().build(
    '-t',
    one,
    '--push',
    '--cache-to',
    `type=registry,ref=${cache},mode=max`,
    context,
  );
  expect(first).toMatchObject({ code: 0 });

  kit.proxy.reset();
  const same = bench.context('checkout', files());
  const second = await machine().build('-t', two, '--push', '--cache-from', cache, same);
  expect(second).toMatchObject({ code: 0 });
  expect(ran(second.stderr)).toEqual([]);
  expect(kit.proxy.down).toBeLessThan(100_000);
  // Of blobs, two configs: that of the base and that of the cache.
  expect(kit.proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))).toHaveLength(2);
  expect(await digestOf(two)).toBe(await digestOf(one));

  // All of it, from a machine that has seen the last step only.
  const third = machine();
  const again = `type=registry,ref=${kit.proxy.host}/team/app:cache-again,mode=max`;
  const copied = await third.build('-t', three, '--push', '--cache-from', cache, '--cache-to', again, same);
  expect(copied).toMatchObject({ code: 0 });
  expect(await digestOf(`${kit.proxy.host}/team/app:cache-again`)).toBe(await digestOf(cache));
});

it.each(['registry', 'inline'])('does so with SOURCE_DATE_EPOCH too: %s', async (type) => {
  // Everything is later than this, so that all of the image's own layers are others than those of the steps.
  const env = ['--build-arg', 'SOURCE_DATE_EPOCH=1000000000'];
  const context = bench.context(`epoch-${type}`, files());
  const image = `${kit.proxy.host}/epoch/${type}`;
  const cache = type === 'inline' ? `${image}:1` : `${image}:cache`;
  const to = type === 'inline' ? 'type=inline' : `type=registry,ref=${cache},mode=max`;
  const first = await machine().build('-t', `${image}:1`, '--push', ...env, '--cache-to', to, context);
  expect(first, first.stderr).toMatchObject({ code: 0 });

  kit.proxy.reset();
  const second = machine();
  const found = await second.build('-t', `${image}:2`, '--push', ...env, '--cache-from', cache, context);
  expect(found, found.stderr).toMatchObject({ code: 0 });
  expect(ran(found.stderr)).toEqual([]);
  // Of blobs, two configs: that of the base, and that of the cache or of the image that has it inside.
  expect(kit.proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))).toHaveLength(2);
  // Without a cache of its own inside, the image is the same; with one, its layers are.
  if (type === 'registry') expect(await digestOf(`${image}:2`)).toBe(await digestOf(`${image}:1`));
  else expect(await layersOf(`${image}:2`)).toEqual(await layersOf(`${image}:1`));
  expect((await second.run('run', `${image}:2`, 'cat', '/b.txt', '/c.txt')).stdout).toBe('a\nc\n');

  // Another epoch bounds other times: that needs the layers.
  const other = await machine().build(
    '-t',
    `${image}:3`,
    '--push',
    '--build-arg',
    'SOURCE_DATE_EPOCH=900000000',
    '--cache-from',
    cache,
    context,
  );
  expect(other, other.stderr).toMatchObject({ code: 0 });
  expect(await layersOf(`${image}:3`)).not.toEqual(await layersOf(`${image}:1`));
});

it('runs what changed, and fetches the layers that this needs', async () => {
  const cache = `${kit.proxy.host}/team/changed:cache`;
  const context = bench.context('unchanged', files());
  await machine().build('--cache-to', `type=registry,ref=${cache},mode=max`, context);
  kit.proxy.reset();

  const last = machine();
  const changed = await last.build(
    '-t',
    'x',
    '--cache-from',
    cache,
    bench.context('last', files({ 'c.txt': 'new\n' })),
  );
  expect(ran(changed.stderr)).toEqual(['COPY c.txt /c.txt']);
  // Neither the stage's large layer nor what it was made from.
  expect(Math.max(...kit.proxy.requests.map(({ bytes }) => bytes))).toBeLessThan(1_500_000);
  expect((await last.run('run', 'x', 'cat', '/b.txt', '/c.txt')).stdout).toBe('a\nnew\n');

  const other = machine();
  const rebuilt = await other.build(
    '-t',
    'y',
    '--cache-from',
    cache,
    bench.context('other', files({ 'a.txt': 'z\n' })),
  );
  expect(ran(rebuilt.stderr)).toEqual([
    'COPY a.txt .',
    'RUN cat a.txt > b.txt && head -c 2000000 /dev/urandom > /big',
    'COPY --from=build /src/b.txt /b.txt',
    'COPY c.txt /c.txt',
  ]);
  expect((await other.run('run', 'y', 'cat', '/b.txt', '/c.txt')).stdout).toBe('z\nc\n');
});

it('runs a step on top of a result that lies in the registry', async () => {
  const cache = `${kit.proxy.host}/team/on-top:cache`;
  const dockerfile = (last: string) => `FROM busybox\nRUN echo slow > /slow\nRUN ${last}\n`;
  await machine().build(
    '--cache-to',
    `type=registry,ref=${cache}`,
    bench.context('on-top', { Dockerfile: dockerfile('echo 1') }),
  );
  const second = machine();
  const context = bench.context('on-top-2', { Dockerfile: dockerfile('cat /slow > /copy') });
  const result = await second.build('-t', 'on-top', '--cache-from', cache, context);
  expect(ran(result.stderr)).toEqual(['RUN cat /slow > /copy']);
  expect((await second.run('run', 'on-top', 'cat', '/copy')).stdout).toBe('slow\n');
});

it('mode=min holds the last stage, mode=max all of them', async () => {
  const context = bench.context('modes', files());
  const changed = bench.context(
    'modes-changed',
    files({
      'c.txt': 'new\n',
      Dockerfile: TWO_STAGES.replace('COPY --from=build /src', 'RUN true\nCOPY --from=build /src'),
    }),
  );
  const results: (readonly string[])[] = [];
  for (const mode of ['min', 'max']) {
    const cache = `${kit.proxy.host}/team/modes:${mode}`;
    await machine().build('--cache-to', `type=registry,ref=${cache},mode=${mode}`, context);
    results.push(ran((await machine().build('-t', 'x', '--cache-from', cache, changed)).stderr));
  }
  expect(results[0]).toContain('RUN cat a.txt > b.txt && head -c 2000000 /dev/urandom > /big');
  expect(results[1]).not.toContain('RUN cat a.txt > b.txt && head -c 2000000 /dev/urandom > /big');
});

it.each([
  ['an index', 'image-manifest=false'],
  ['Docker media types', 'oci-mediatypes=false'],
  ['zstd', 'compression=zstd,force-compression=true'],
  ['no compression', 'compression=uncompressed,force-compression=true'],
])('reads its own caches: %s', async (name, attributes) => {
  const cache = `${kit.proxy.host}/team/forms:${name.replaceAll(' ', '-')}`;
  const context = bench.context('forms', files());
  const written = await machine().build('--cache-to', `type=registry,ref=${cache},mode=max,${attributes}`, context);
  expect(written.stderr).not.toContain('WARNING');
  const second = machine();
  const read = await second.build('-t', 'x', '--cache-from', cache, context);
  expect(ran(read.stderr)).toEqual([]);
  expect((await second.run('run', 'x', 'cat', '/b.txt')).stdout).toBe('a\n');
});

it('takes the cache out of an image', async () => {
  const image = `${kit.proxy.host}/team/inline:1`;
  const context = bench.context('inline', { Dockerfile: 'FROM busybox\nRUN echo 1 > /one\nRUN echo 2 > /two\n' });
  expect(await machine().build('-t', image, '--push', '--cache-to', 'type=inline', context)).toMatchObject({ code: 0 });
  const config = execFileSync('skopeo', [
    'inspect',
    '--config',
    '--tls-verify=false',
    `docker://${image.replace(kit.proxy.host, kit.registry.host)}`,
  ]);
  expect(JSON.parse(config.toString('utf8'))).toMatchObject({ os: 'linux' });
  const changed = bench.context('inline-2', { Dockerfile: 'FROM busybox\nRUN echo 1 > /one\nRUN echo 3 > /two\n' });
  const second = machine();
  expect(ran((await second.build('-t', 'x', '--cache-from', image, changed)).stderr)).toEqual(['RUN echo 3 > /two']);
  expect((await second.run('run', 'x', 'cat', '/one', '/two')).stdout).toBe('1\n3\n');
});

it('keeps caches in a directory, several by tag, and removes what nobody names any more', async () => {
  const directory = join(bench.dir, 'cache-directory');
  const context = bench.context('local', files());
  const to = `type=local,dest=${directory},mode=max`;
  expect(await machine().build('--cache-to', to, context)).toMatchObject({ code: 0 });
  const second = await machine().build('-t', 'x', '--cache-from', `type=local,src=${directory}`, context);
  expect(ran(second.stderr)).toEqual([]);

  const before = readdirSync(join(directory, 'blobs/sha256')).length;
  const other = bench.context('local-other', files({ 'a.txt': 'other\n' }));
  await machine().build('--cache-to', `${to},tag=other`, other);
  expect(readdirSync(join(directory, 'blobs/sha256')).length).toBeGreaterThan(before);
  const both = await machine().build('-t', 'x', '--cache-from', `type=local,src=${directory},tag=other`, other);
  expect(ran(both.stderr)).toEqual([]);

  const from = `type=local,src=${directory}`;
  await machine().build('--cache-from', from, '--cache-to', `${to},tag=other,reset=true`, context);
  expect(readdirSync(join(directory, 'blobs/sha256')).length).toBe(before);
});

it('uses several caches', async () => {
  const step = (word: string) => ({
    Dockerfile: `FROM busybox AS a\nRUN echo ${word} > /a\nFROM scratch\nCOPY --from=a /a /\n`,
  });
  const caches = ['one', 'two'].map((name) => `${kit.proxy.host}/team/several:${name}`);
  for (const [i, cache] of caches.entries()) {
    await machine().build(
      '--cache-to',
      `type=registry,ref=${cache},mode=max`,
      bench.context(`several-${i}`, step(`${i}`)),
    );
  }
  const target = machine();
  for (const i of [0, 1]) {
    const from = caches.flatMap((cache) => ['--cache-from', cache]);
    expect(ran((await target.build('-t', 'x', ...from, bench.context(`several-${i}`, step(`${i}`)))).stderr)).toEqual(
      [],
    );
  }
});

it('tells nobody what a step was', async () => {
  const directory = join(bench.dir, 'discreet-cache');
  const context = bench.context('discreet', { Dockerfile: 'FROM busybox\nARG TOKEN\nRUN true $TOKEN\n' });
  await machine().build('--build-arg', 'TOKEN=hunter2', '--cache-to', `type=local,dest=${directory},mode=max`, context);
  for (const name of readdirSync(join(directory, 'blobs/sha256'))) {
    expect(readFileSync(join(directory, 'blobs/sha256', name)).includes('hunter2')).toBe(false);
  }
});

async function layersOf(ref: string): Promise<readonly string[]> {
  const [, host = '', repository = '', tag = ''] = /^([^/]+)\/(.*):(.*)$/.exec(ref) ?? [];
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    headers: { accept: 'application/vnd.oci.image.manifest.v1+json' },
  });
  return ((await answer.json()) as { layers: { digest: string }[] }).layers.map(({ digest }) => digest);
}

async function digestOf(ref: string): Promise<string | null> {
  const [, host = '', repository = '', tag = ''] = /^([^/]+)\/(.*):(.*)$/.exec(ref) ?? [];
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`http://${host}/v2/${repository}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept },
  });
  return answer.headers.get('docker-content-digest');
}
