import { execFileSync, spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench, SLIPWAY } from '../support/cli.ts';
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
/** What the builds talk to. */
let proxy: CountingProxy;
let machines = 0;

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  proxy = await startCountingProxy(registry.host);
});
afterEach(() => proxy.reset());
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  bench.dispose();
});

/** An empty machine. */
function machine() {
  const env = { SLIPWAY_ROOT: join(bench.dir, `machine-${machines++}`), SLIPWAY_MIRRORS: `docker.io=${proxy.host}` };
  return {
    env,
    build: (...args: string[]) => bench.run(['build', '--progress', 'plain', ...args], { env }),
    run: (...args: string[]) => bench.run(args, { env }),
  };
}

/** Steps that a build ran, in BuildKit's words for them. */
function ran(log: string): readonly string[] {
  const names = new Map([...log.matchAll(/^#(\d+) (\[.*)$/gm)].map(([, number = '', name = '']) => [number, name]));
  return [...log.matchAll(/^#(\d+) DONE /gm)]
    .map(([, number = '']) => names.get(number) ?? '')
    .filter((name) => /\] (RUN|COPY)/.test(name))
    .map((name) => name.replace(/^\[.*?\] /, ''));
}

const DOCKERFILE = `FROM busybox AS build
WORKDIR /src
COPY a.txt .
RUN cat a.txt > b.txt && head -c 2000000 /dev/urandom > /big
FROM busybox
COPY --from=build /src/b.txt /b.txt
COPY c.txt /c.txt
`;
const files = (change: Readonly<Record<string, string>> = {}) => ({
  Dockerfile: DOCKERFILE,
  'a.txt': 'a\n',
  'c.txt': 'c\n',
  ...change,
});

it('finds everything in a registry cache on an empty machine: manifests and records only', async () => {
  const context = bench.context('first', files());
  const [one, two, three] = [`${proxy.host}/team/app:1`, `${proxy.host}/team/app:2`, `${proxy.host}/team/app:3`];
  const cache = `${proxy.host}/team/app:cache`;
  const first = await machine().build(
    '-t',
    one,
    '--push',
    '--cache-to',
    `type=registry,ref=${cache},mode=max`,
    context,
  );
  expect(first).toMatchObject({ code: 0 });

  proxy.reset();
  const same = bench.context('checkout', files());
  const second = await machine().build('-t', two, '--push', '--cache-from', cache, same);
  expect(second).toMatchObject({ code: 0 });
  expect(ran(second.stderr)).toEqual([]);
  expect(proxy.down).toBeLessThan(100_000);
  // Of blobs, two configs: that of the base and that of the cache.
  expect(proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))).toHaveLength(2);
  expect(await digestOf(two)).toBe(await digestOf(one));

  // All of it, from a machine that has seen the last step only.
  const third = machine();
  const again = `type=registry,ref=${proxy.host}/team/app:cache-again,mode=max`;
  const copied = await third.build('-t', three, '--push', '--cache-from', cache, '--cache-to', again, same);
  expect(copied).toMatchObject({ code: 0 });
  expect(await digestOf(`${proxy.host}/team/app:cache-again`)).toBe(await digestOf(cache));
});

it.each(['registry', 'inline'])('does so with SOURCE_DATE_EPOCH too: %s', async (type) => {
  // Everything is later than this, so that all of the image's own layers are others than those of the steps.
  const env = ['--build-arg', 'SOURCE_DATE_EPOCH=1000000000'];
  const context = bench.context(`epoch-${type}`, files());
  const image = `${proxy.host}/epoch/${type}`;
  const cache = type === 'inline' ? `${image}:1` : `${image}:cache`;
  const to = type === 'inline' ? 'type=inline' : `type=registry,ref=${cache},mode=max`;
  const first = await machine().build('-t', `${image}:1`, '--push', ...env, '--cache-to', to, context);
  expect(first, first.stderr).toMatchObject({ code: 0 });

  proxy.reset();
  const second = machine();
  const found = await second.build('-t', `${image}:2`, '--push', ...env, '--cache-from', cache, context);
  expect(found, found.stderr).toMatchObject({ code: 0 });
  expect(ran(found.stderr)).toEqual([]);
  // Of blobs, two configs: that of the base, and that of the cache or of the image that has it inside.
  expect(proxy.requests.filter(({ method, path }) => method === 'GET' && path.includes('/blobs/'))).toHaveLength(2);
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
  const cache = `${proxy.host}/team/changed:cache`;
  const context = bench.context('unchanged', files());
  await machine().build('--cache-to', `type=registry,ref=${cache},mode=max`, context);
  proxy.reset();

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
  expect(Math.max(...proxy.requests.map(({ bytes }) => bytes))).toBeLessThan(1_500_000);
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
  const cache = `${proxy.host}/team/on-top:cache`;
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
      Dockerfile: DOCKERFILE.replace('COPY --from=build /src', 'RUN true\nCOPY --from=build /src'),
    }),
  );
  const results: (readonly string[])[] = [];
  for (const mode of ['min', 'max']) {
    const cache = `${proxy.host}/team/modes:${mode}`;
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
  const cache = `${proxy.host}/team/forms:${name.replaceAll(' ', '-')}`;
  const context = bench.context('forms', files());
  const written = await machine().build('--cache-to', `type=registry,ref=${cache},mode=max,${attributes}`, context);
  expect(written.stderr).not.toContain('WARNING');
  const second = machine();
  const read = await second.build('-t', 'x', '--cache-from', cache, context);
  expect(ran(read.stderr)).toEqual([]);
  expect((await second.run('run', 'x', 'cat', '/b.txt')).stdout).toBe('a\n');
});

it('takes the cache out of an image', async () => {
  const image = `${proxy.host}/team/inline:1`;
  const context = bench.context('inline', { Dockerfile: 'FROM busybox\nRUN echo 1 > /one\nRUN echo 2 > /two\n' });
  expect(await machine().build('-t', image, '--push', '--cache-to', 'type=inline', context)).toMatchObject({ code: 0 });
  const config = execFileSync('skopeo', [
    'inspect',
    '--config',
    '--tls-verify=false',
    `docker://${image.replace(proxy.host, registry.host)}`,
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
  const caches = ['one', 'two'].map((name) => `${proxy.host}/team/several:${name}`);
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

it('goes on without a cache that is not there, not reachable or not allowed, unless it is insisted upon', async () => {
  const context = bench.context('absent', { Dockerfile: 'FROM busybox\nRUN echo 1\n' });
  const absent = `${proxy.host}/team/none:cache`;
  const first = await machine().build('--cache-from', absent, '--cache-from', '127.0.0.1:9/down:cache', context);
  expect(first).toMatchObject({ code: 0 });
  expect(first.stderr).toContain(`there is no cache ${absent} yet`);
  expect(first.stderr).toContain('the cache 127.0.0.1:9/down:cache is not used');

  const insisted = await machine().build(
    '--cache-from',
    'type=registry,ref=127.0.0.1:9/down:cache,ignore-error=false',
    context,
  );
  expect(insisted.code).toBe(4);

  const words = '{"errors":[{"code":"DENIED","message":"the quota of team is used up"}]}';
  proxy.fail(/^(POST|PUT)/, 403, words);
  const to = `type=registry,ref=${proxy.host}/team/denied:cache,mode=max`;
  const denied = await machine().build('--cache-to', to, context);
  expect(denied).toMatchObject({ code: 0 });
  expect(denied.stderr).toContain('the quota of team is used up');
  expect((await machine().build('--cache-to', `${to},ignore-error=false`, context)).code).not.toBe(0);
});

it('shows the words of a registry that wants a login, and goes on', async () => {
  // Nobody has this password.
  const closed = await startRegistry(join(bench.dir, 'closed-registry'), `nobody:$2b$12$${'x'.repeat(53)}\n`);
  try {
    const context = bench.context('closed', { Dockerfile: 'FROM busybox\nRUN echo 1 > /one\n' });
    const cache = `${closed.host}/team/closed:cache`;
    const result = await machine().build('--cache-from', cache, '--cache-to', `type=registry,ref=${cache}`, context);
    expect(result, result.stderr).toMatchObject({ code: 0 });
    const warnings = result.stderr.slice(result.stderr.indexOf('warnings found'));
    expect(warnings).toMatch(/the cache .*closed:cache is not used: .*authentication required/);
    expect(warnings).toMatch(/the cache was not written to .*closed:cache: .*authentication required/);
    const insisting = `type=registry,ref=${cache},ignore-error=false`;
    const refused = await machine().build('--cache-from', insisting, context);
    expect(refused.code).toBe(4);
    expect(refused.stderr).toMatch(/UNAUTHORIZED: authentication required\nerror: /);
  } finally {
    await closed.stop();
  }
});

it('goes on when the disk is full that the cache goes to, and says so once', () => {
  const context = bench.context('full', {
    Dockerfile: 'FROM busybox\nCOPY big /big\nRUN cp /big /big2\n',
    big: randomBytes(8 << 20),
  });
  const small = bench.context('small', {});
  const layout = busyboxLayout(bench.context('full-base', {}));
  const { env } = machine();
  // In a mount namespace of the test's own.
  const script = 'mount -t tmpfs -o size=4m tmpfs "$0"; "$@"; code=$?; find "$0" -type f -size +0; exit $code';
  const to = `type=local,dest=${small}/cache,mode=max`;
  const command = (more: string) => [
    ...['-m', 'sh', '-c', script, small, process.execPath, SLIPWAY],
    ...['build', '--progress', 'plain', '-t', 'full', '--build-context', `busybox=oci-layout://${layout}`],
    ...['--cache-to', `${to}${more}`, context],
  ];
  const run = (more: string) =>
    spawnSync('unshare', command(more), { env: { ...process.env, ...bench.env, ...env }, encoding: 'utf8' });
  const result = run('');
  expect(result.status, result.stderr).toBe(0);
  expect(result.stderr.match(/the cache was not written to .*no space left on device/g)).toHaveLength(1);
  expect(result.stderr).toMatch(/^image sha256:/m);
  // No half of a blob is left.
  expect(result.stdout.trim().split('\n')).toEqual([`${small}/cache/oci-layout`]);
  const insisting = run(',ignore-error=false');
  expect(insisting.status, insisting.stderr).toBe(5);
  expect(insisting.stderr).toMatch(/^error: no space left on device .*cache/m);
});

it('exports what it built when there is no room left to note it for later builds', () => {
  // The step fills the state directory to so many KiB: for some of these numbers there is room for files and none for rows.
  const rest = [10, 20, 30, 40, 60];
  const layout = busyboxLayout(bench.context('filled-base', {}));
  const root = bench.context('filled-root', {});
  const results = rest.map((left) => {
    const fill = `free=$(df -k /c | awk 'NR==2{print $4}') && dd if=/dev/zero of=/c/fill bs=1k count=$((free-${left}))`;
    const context = bench.context('filled', {
      Dockerfile: `FROM busybox\nRUN --mount=type=cache,target=/c ${fill} && echo built > /built\n`,
    });
    const out = join(bench.dir, `filled-out-${left}`);
    const script = 'mount -t tmpfs -o size=24m tmpfs "$0"; exec "$@"';
    const args = [
      'build',
      '--progress',
      'plain',
      '--build-context',
      `busybox=oci-layout://${layout}`,
      '-o',
      out,
      context,
    ];
    const env = { ...process.env, ...bench.env, SLIPWAY_ROOT: root };
    const command = ['-m', 'sh', '-c', script, root, process.execPath, SLIPWAY, ...args];
    const { status, stderr } = spawnSync('unshare', command, { env, encoding: 'utf8' });
    expect(status === 0 ? readFileSync(join(out, 'built'), 'utf8') : status, stderr).toBe(status === 0 ? 'built\n' : 5);
    return stderr.match(/later builds will not find what this one made: no space left/g)?.length ?? 0;
  });
  expect(results).toContain(1);
  expect(Math.max(...results)).toBe(1);
});

it.each(['SIGKILL', 'SIGINT'] as const)(
  'a cache whose writing was ended by %s is the one of before',
  async (signal) => {
    const directory = join(bench.dir, `ended-${signal}`);
    const to = `type=local,dest=${directory},mode=max`;
    const source = { Dockerfile: 'FROM busybox\nCOPY big /big\nRUN cp /big /big2\n', big: randomBytes(1 << 20) };
    const context = bench.context(`ended-${signal}`, source);
    expect(await machine().build('--cache-to', to, context)).toMatchObject({ code: 0 });
    const before = readFileSync(join(directory, 'index.json'), 'utf8');

    const writer = machine();
    const more = bench.context(`ended-more-${signal}`, { ...source, big: randomBytes(24 << 20) });
    const child = bench.start(['build', '--progress', 'plain', '--cache-to', to, more], { env: writer.env });
    const closed = new Promise((resolve) => child.on('close', resolve));
    child.stderr?.on('data', (data: Buffer) => {
      if (data.includes('preparing build cache for export')) child.kill(signal);
    });
    expect(await closed).not.toBe(0);
    expect(readFileSync(join(directory, 'index.json'), 'utf8')).toBe(before);
    expect(JSON.parse((await writer.run('du', '--verify', '--deep', '--json')).stdout)).toMatchObject({ problems: [] });
    const reader = machine();
    const found = await reader.build('-t', 'x', '--cache-from', `type=local,src=${directory}`, context);
    expect(ran(found.stderr)).toEqual([]);
    // And the next one writes it.
    const again = await writer.build('--cache-to', to, more);
    expect(again.stderr).not.toContain('warning');
    expect(readFileSync(join(directory, 'index.json'), 'utf8')).not.toBe(before);
  },
);

it('refuses a cache that names blobs of others, and says so', async () => {
  const directory = join(bench.dir, 'hostile-cache');
  const context = bench.context('hostile', files());
  await machine().build('--cache-to', `type=local,dest=${directory},mode=max`, context);
  const blobs = join(directory, 'blobs/sha256');
  const index = JSON.parse(readFileSync(join(directory, 'index.json'), 'utf8')) as {
    manifests: [{ digest: string; size: number }];
  };
  const path = (digest: string) => join(blobs, digest.slice(7));
  const manifest = JSON.parse(readFileSync(path(index.manifests[0].digest), 'utf8')) as { layers: unknown[] };
  const forged = JSON.stringify({ ...manifest, layers: manifest.layers.slice(1) });
  const digest = createHash('sha256').update(forged).digest('hex');
  writeFileSync(join(blobs, digest), forged);
  index.manifests[0].digest = `sha256:${digest}`;
  index.manifests[0].size = forged.length;
  writeFileSync(join(directory, 'index.json'), JSON.stringify(index));
  const result = await machine().build('--cache-from', `type=local,src=${directory}`, context);
  expect(result).toMatchObject({ code: 0 });
  expect(result.stderr).toContain('which its manifest does not hold');
  expect(ran(result.stderr)).toContain('COPY a.txt .');

  writeFileSync(join(blobs, digest), forged.replace('schemaVersion', 'schemaversion'));
  const damaged = await machine().build('--cache-from', `type=local,src=${directory}`, context);
  expect(damaged).toMatchObject({ code: 0 });
  expect(damaged.stderr).toContain('is not used');
});

it('builds again what a cache offered and the registry has removed since', async () => {
  const directory = join(bench.dir, 'vanishing-cache');
  const context = bench.context('vanishing', files());
  await machine().build('--cache-to', `type=local,dest=${directory},mode=max`, context);
  const second = machine();
  const found = await second.build('--cache-from', `type=local,src=${directory}`, context);
  expect(ran(found.stderr)).toEqual([]);
  rmSync(directory, { recursive: true });
  const again = await second.build('-t', 'x', context);
  expect(again.stderr).not.toContain('error:');
  expect((await second.run('run', 'x', 'cat', '/b.txt', '/c.txt')).stdout).toBe('a\nc\n');
});

it.each(['oci', 'local'])('runs a step whose layer in the cache is not what it should be (%s)', async (type) => {
  const directory = join(bench.dir, `damaged-cache-${type}`);
  const context = bench.context('damaged', files());
  await machine().build('--cache-to', `type=local,dest=${directory},mode=max`, context);
  const blobs = join(directory, 'blobs/sha256');
  for (const name of readdirSync(blobs)) {
    const data = readFileSync(join(blobs, name));
    if (data[0] === 0x1f) writeFileSync(join(blobs, name), data.fill(0, data.length - 9));
  }
  const out = join(bench.dir, `damaged-out-${type}`);
  const result = await machine().build(
    '-o',
    `type=${type},dest=${out}`,
    '--cache-from',
    `type=local,src=${directory}`,
    context,
  );
  expect(result).toMatchObject({ code: 0 });
  expect(result.stderr).toContain('a layer from a cache cannot be used');
  if (type === 'local') expect(readFileSync(join(out, 'b.txt'), 'utf8')).toBe('a\n');
});

it('runs the step whose layer is damaged, also when that is found while the image is pushed elsewhere', async () => {
  const other = await startRegistry(join(bench.dir, 'other-registry'));
  try {
    for (const epoch of [[], ['--build-arg', 'SOURCE_DATE_EPOCH=1000000000']]) {
      const directory = join(bench.dir, `damaged-push-${epoch.length}`);
      const context = bench.context('damaged-push', files());
      const to = `type=local,dest=${directory},mode=max`;
      await machine().build('-t', 'x', ...epoch, '--cache-to', to, context);
      const blobs = join(directory, 'blobs/sha256');
      for (const name of readdirSync(blobs)) {
        const data = readFileSync(join(blobs, name));
        if (data[0] === 0x1f) writeFileSync(join(blobs, name), data.fill(0, data.length - 9));
      }
      const image = `${other.host}/damaged:${epoch.length}`;
      const from = `type=local,src=${directory}`;
      const result = await machine().build('-t', image, '--push', ...epoch, '--cache-from', from, context);
      expect(result, result.stderr).toMatchObject({ code: 0 });
      expect(result.stderr).toContain('a layer from a cache cannot be used, its step runs instead');
      const pulled = bench.context('damaged-pull', { Dockerfile: `FROM ${image}\nRUN cat /b.txt /c.txt > /both\n` });
      const user = machine();
      expect(await user.build('-t', 'pulled', pulled)).toMatchObject({ code: 0 });
      expect((await user.run('run', 'pulled', 'cat', '/both')).stdout).toBe('a\nc\n');
    }
  } finally {
    await other.stop();
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
