import { execFileSync } from 'node:child_process';
import {
  existsSync,
  lstatSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startCountingProxy, type CountingProxy } from '../support/counting-proxy.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let base: string;
let registry: TestRegistry;
let proxy: CountingProxy;
let machines = 0;

beforeAll(async () => {
  base = busyboxLayout(bench.dir);
  registry = await startRegistry(join(bench.dir, 'registry'));
  proxy = await startCountingProxy(registry.host);
});
afterEach(() => {
  proxy.reset();
});
afterAll(async () => {
  await proxy.stop();
  await registry.stop();
  bench.dispose();
});

interface Machine {
  /** Runs a script with a cache at /c. */
  run(script: string, ...args: string[]): Promise<{ readonly code: number | null; readonly stderr: string }>;
  /** The cache's directory. */
  readonly cache: string;
}

/** An empty machine. */
function machine(id = 'npm'): Machine {
  const root = join(bench.dir, `machine-${machines++}`);
  return {
    run(script, ...args) {
      const context = bench.context(`context-${machines++}`, {
        Dockerfile: `FROM busybox\nRUN --mount=type=cache,id=${id},target=/c ${script}\n`,
      });
      return bench.run(
        ['build', '--progress=plain', '--build-context', `busybox=oci-layout://${base}`, ...args, context],
        {
          env: { SLIPWAY_ROOT: root },
        },
      );
    },
    get cache() {
      const [name = ''] = existsSync(join(root, 'cache')) ? readdirSync(join(root, 'cache')) : [];
      return join(root, 'cache', name, '0/fs');
    },
  };
}

/** Every path with type, mode, owner, time and content. */
function listing(directory: string): string {
  const names = execFileSync('find', ['.', '-printf', '%P %y %m %U %G %T@ %s %l\n'], {
    cwd: directory,
    encoding: 'utf8',
  });
  const contents = execFileSync('sh', ['-c', 'find . -type f -exec sha256sum {} +'], {
    cwd: directory,
    encoding: 'utf8',
  });
  return (
    [...names.split('\n'), ...contents.split('\n')]
      .filter((line) => line !== '')
      // The size of a directory is the file system's affair.
      .map((line) => line.replace(/^(.* d \S+ \S+ \S+ \S+) \d+/, '$1'))
      .sort()
      .join('\n')
  );
}

const ref = (name: string) => `type=registry,ref=${proxy.host}/team/${name}`;
/** What npm's cache is like: many small files by digest, an index, and some large ones. */
const FILL = `mkdir -p /c/content /c/index && for i in $(seq 400); do head -c 3000 /dev/urandom > /c/content/$i; done && \\
  head -c 9000000 /dev/urandom > /c/content/large && ln -s content/1 /c/latest && chown -R 1000:2000 /c/content && \\
  chmod 750 /c/content && chmod 4755 /c/content/1 && touch -d '2020-01-02 03:04:05' /c/content/2 && : > /c/index/empty`;

it('brings a cache to another machine as it is, and then only what changed', async () => {
  const [one, two] = [machine(), machine()];
  const saved = await one.run(FILL, '--cache-mount-to', ref('store'));
  expect(saved).toMatchObject({ code: 0 });

  proxy.reset();
  const restored = await two.run('test -f /c/content/400', '--cache-mount-from', ref('store'));
  expect(restored).toMatchObject({ code: 0 });
  expect(listing(two.cache)).toBe(listing(one.cache));
  expect(proxy.down).toBeGreaterThan(9_000_000);

  proxy.reset();
  const grown = await one.run(
    'head -c 5000 /dev/urandom > /c/content/new && rm /c/content/7',
    '--cache-mount-to',
    ref('store'),
  );
  expect(grown).toMatchObject({ code: 0 });
  expect(proxy.up).toBeLessThan(100_000);

  proxy.reset();
  await two.run('test -f /c/content/new && test ! -f /c/content/7', '--cache-mount-from', ref('store'));
  expect(proxy.down).toBeLessThan(100_000);
  // A file that comes into a directory changes its time.
  const untimed = (text: string) => text.replace(/^(.* d \S+ \S+ \S+) \S+/gm, '$1');
  expect(untimed(listing(two.cache))).toBe(untimed(listing(one.cache)));

  proxy.reset();
  await one.run('ls /c', '--cache-mount-to', ref('store'));
  expect(proxy.requests.filter(({ method }) => method === 'PUT')).toEqual([]);
  // What was touched but holds the same moves as an entry only.
  await one.run('touch /c/content/*', '--cache-mount-to', ref('store'));
  expect(proxy.up).toBeLessThan(100_000);
});

it('keeps what was added here and what others added there', async () => {
  const [one, two, three] = [machine(), machine(), machine()];
  await one.run('echo 1 > /c/one', '--cache-mount-to', ref('both'));
  const both = ['--cache-mount-from', ref('both'), '--cache-mount-to', ref('both')];
  await two.run('echo 2 > /c/two', ...both);
  // Has not seen what the second added.
  await one.run('echo 3 > /c/three', '--cache-mount-to', ref('both'));
  expect(await three.run('ls /c > /c/seen', ...both)).toMatchObject({ code: 0 });
  expect(readFileSync(join(three.cache, 'seen'), 'utf8').split('\n').filter(Boolean)).toEqual([
    'one',
    'seen',
    'three',
    'two',
  ]);
  await one.run('ls /c', ...both);
  expect(readdirSync(one.cache).sort()).toEqual(['one', 'seen', 'three', 'two']);
});

it('a scope is read by those who ask for it, and written by nobody else', async () => {
  const main = machine();
  await main.run('echo main > /c/from', '--cache-mount-to', `${ref('scopes')},scope=main`);
  const request = machine();
  const own = [
    ...['--cache-mount-from', `${ref('scopes')},scope=pr-7`, '--cache-mount-from', `${ref('scopes')},scope=main`],
    ...['--cache-mount-to', `${ref('scopes')},scope=pr-7`],
  ];
  await request.run('cat /c/from && echo pr > /c/poison', ...own);
  const again = machine();
  await again.run('ls /c', ...own);
  expect(readdirSync(again.cache).sort()).toEqual(['from', 'poison']);
  const other = machine();
  await other.run('ls /c', '--cache-mount-from', ref('scopes'));
  expect(readdirSync(other.cache)).toEqual(['from']);
});

it('lets travel what fits, the newest first', async () => {
  const one = machine();
  const script = 'for i in 1 2 3 4; do head -c 1000000 /dev/urandom > /c/$i; sleep 0.05; done';
  const saved = await one.run(script, '--cache-mount-to', `${ref('small')},max-size=2500k`);
  expect(saved.stderr).toContain('2 files of the cache mount npm do not fit');
  const two = machine();
  await two.run('ls /c', '--cache-mount-from', ref('small'));
  expect(readdirSync(two.cache).sort()).toEqual(['3', '4']);
});

it('takes only the mounts that are named', async () => {
  const one = machine();
  await one.run('echo 1 > /c/x', '--cache-mount-to', `${ref('named')},id=other`);
  expect(proxy.requests).toEqual([]);
  await one.run('echo 2 > /c/x', '--cache-mount-to', `${ref('named')},id=npm`);
  const two = machine();
  await two.run('ls /c', '--cache-mount-from', `${ref('named')},id=npm`);
  expect(readFileSync(join(two.cache, 'x'), 'utf8')).toBe('2\n');
});

it('does nothing while no step uses the mount', async () => {
  const one = machine();
  await one.run('echo 1 > /c/x');
  proxy.reset();
  await one.run('echo 1 > /c/x', '--cache-mount-from', ref('idle'), '--cache-mount-to', ref('idle'));
  expect(proxy.requests).toEqual([]);
});

it('travels by a directory', async () => {
  const directory = join(bench.dir, 'mounts');
  const [one, two] = [machine(), machine()];
  await one.run('echo 1 > /c/x', '--cache-mount-to', `type=local,dest=${directory}`);
  await two.run('ls /c', '--cache-mount-from', `type=local,src=${directory}`);
  expect(listing(two.cache)).toBe(listing(one.cache));
});

it('goes on without a cache that cannot be reached or is damaged, unless it is insisted upon', async () => {
  const down = 'type=registry,ref=127.0.0.1:9/team/x';
  const first = await machine().run('true', '--cache-mount-from', down, '--cache-mount-to', down);
  expect(first).toMatchObject({ code: 0 });
  expect(first.stderr).toContain('the cache mount npm was not read from 127.0.0.1:9/team/x');
  expect(first.stderr).toContain('the cache mount npm was not written to 127.0.0.1:9/team/x');
  expect((await machine().run('true', '--cache-mount-from', `${down},ignore-error=false`)).code).not.toBe(0);

  const directory = join(bench.dir, 'damaged-mounts');
  await machine().run('head -c 100000 /dev/urandom > /c/x', '--cache-mount-to', `type=local,dest=${directory}`);
  const blobs = join(directory, 'blobs/sha256');
  const largest =
    readdirSync(blobs).sort((a, b) => lstatSync(join(blobs, b)).size - lstatSync(join(blobs, a)).size)[0] ?? '';
  writeFileSync(join(blobs, largest), readFileSync(join(blobs, largest)).fill(1, 50_000, 50_010));
  const two = machine();
  const damaged = await two.run('ls /c', '--cache-mount-from', `type=local,src=${directory}`);
  expect(damaged).toMatchObject({ code: 0 });
  expect(damaged.stderr).toContain('was not read from');
  expect(existsSync(join(two.cache, 'x'))).toBe(false);
});

it('leads nowhere, whatever a step or another machine left in it', async () => {
  const outside = join(bench.dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'secret'), 'secret');
  const one = machine();
  await one.run('mkdir /c/d && echo 1 > /c/d/secret && echo 2 > /c/d/new', '--cache-mount-to', ref('traps'));

  // A directory there is a link here.
  const two = machine();
  await two.run('echo 1 > /c/x');
  symlinkSync(outside, join(two.cache, 'd'));
  expect(await two.run('ls /c', '--cache-mount-from', ref('traps'))).toMatchObject({ code: 0 });
  expect(readdirSync(outside)).toEqual(['secret']);
  expect(readFileSync(join(outside, 'secret'), 'utf8')).toBe('secret');

  // A link is saved as a link.
  await two.run('true # again', '--cache-mount-to', ref('links'));
  const three = machine();
  await three.run('ls /c', '--cache-mount-from', ref('links'));
  expect(lstatSync(join(three.cache, 'd')).isSymbolicLink()).toBe(true);
  rmSync(outside, { recursive: true });
});

it('a step that comes while a cache is being filled waits for it', async () => {
  await machine().run(FILL, '--cache-mount-to', ref('crowd'));
  const one = machine();
  const runs = await Promise.all(
    [1, 2, 3].map((i) =>
      one.run(`test -f /c/content/400 && echo ${i} > /c/seen-${i}`, '--cache-mount-from', ref('crowd')),
    ),
  );
  expect(runs.map(({ code }) => code)).toEqual([0, 0, 0]);
  expect(readdirSync(one.cache).filter((name) => name.startsWith('seen'))).toHaveLength(3);
});

it('starts empty with --no-cache', async () => {
  await machine().run('echo 1 > /c/x', '--cache-mount-to', ref('anew'));
  const two = machine();
  expect(await two.run('test ! -f /c/x', '--no-cache', '--cache-mount-from', ref('anew'))).toMatchObject({ code: 0 });
});
