import { spawnSync } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { readFileSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { cacheBench, files, ran } from '../support/cache-bench.ts';
import { SLIPWAY } from '../support/cli.ts';
import { startRegistry } from '../support/registry.ts';

const kit = cacheBench();
const { bench, machine } = kit;

it('goes on without a cache that is not there, not reachable or not allowed, unless it is insisted upon', async () => {
  const context = bench.context('absent', { Dockerfile: 'FROM busybox\nRUN echo 1\n' });
  const absent = `${kit.proxy.host}/team/none:cache`;
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
  kit.proxy.fail(/^(POST|PUT)/, 403, words);
  const to = `type=registry,ref=${kit.proxy.host}/team/denied:cache,mode=max`;
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
  expect(result, result.stderr).toMatchObject({ code: 0 });
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
