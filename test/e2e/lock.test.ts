import { execFileSync, spawn, type ChildProcess } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { freePort, startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let files: Server;
let url = '';
let content = 'one';
let context = '';

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  registry.push(busyboxLayout(bench.dir), 'busybox:latest');
  bench.env['SLIPWAY_MIRRORS'] = `docker.io=${registry.host}`;
  const port = await freePort();
  files = createServer((_, response) => response.end(content)).listen(port, '127.0.0.1');
  url = `http://127.0.0.1:${port}/file.txt`;
  context = bench.context('app', { Dockerfile: `FROM busybox\nADD ${url} /file.txt\nRUN cat /file.txt\n` });
});
afterAll(async () => {
  files.close();
  await registry.stop();
  bench.dispose();
});

const lockFile = () =>
  JSON.parse(readFileSync(join(context, 'slipway.lock'), 'utf8')) as Record<'images' | 'urls', Record<string, string>>;

it('refuses to build frozen without a lock', async () => {
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('slipway lock');
});

it('pins images and URLs, and says so', async () => {
  const result = await bench.run(['lock', context]);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stdout).toMatch(/^\+ docker\.io\/library\/busybox:latest sha256:/m);
  expect(Object.keys(lockFile().urls)).toEqual([url]);
  expect((await bench.run(['lock', context])).stdout).toContain('up to date');
  expect((await bench.run(['build', '--frozen', context])).code).toBe(0);
});

it('builds what is locked though the tag has moved, and refuses a URL whose content has', async () => {
  const before = lockFile();
  registry.push(`${writeLayout(join(bench.dir, 'other'), [], { Env: ['A=b'] })}:latest`, 'busybox:latest');
  const env = { SLIPWAY_ROOT: join(bench.dir, 'fresh') };
  expect((await bench.run(['build', '--frozen', context], { env })).code).toBe(0);

  content = 'two';
  const changed = await bench.run(['build', '--frozen', context], { env: { SLIPWAY_ROOT: join(bench.dir, 'fresh2') } });
  expect(changed.code).toBe(4);
  expect(changed.stderr).toContain(url);

  const dry = await bench.run(['lock', '--update', '--dry-run', context]);
  expect(dry.code).toBe(1);
  expect(dry.stdout).toMatch(/^~ docker\.io\/library\/busybox:latest sha256:\w+ -> sha256:/m);
  expect(lockFile()).toEqual(before);
});

it('refuses what is not in the lock', async () => {
  writeFileSync(join(context, 'Dockerfile'), 'FROM alpine:3\nRUN true\n');
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('does not pin docker.io/library/alpine:3');
  expect(result.stderr).toContain('Dockerfile:1');
});

describe('every kind of source', () => {
  let daemon: ChildProcess;
  let project = '';
  let git = '';
  let repository = '';
  const run = (...args: readonly string[]): string =>
    execFileSync('git', ['-C', repository, '-c', 'user.name=a', '-c', 'user.email=a@b.example', ...args], {
      encoding: 'utf8',
    }).trim();
  const commit = (text: string): string => {
    writeFileSync(join(repository, 'file'), text);
    run('add', 'file');
    run('commit', '-q', '-m', text);
    return run('rev-parse', 'HEAD');
  };
  const pins = () =>
    JSON.parse(readFileSync(join(project, 'slipway.lock'), 'utf8')) as Record<
      'images' | 'urls' | 'git',
      Record<string, string>
    >;
  const lines = (text: string): readonly string[] =>
    text
      .split('\n')
      .filter((line) => /^[-+~] /.test(line))
      .map((line) => line.replaceAll(/sha256:[0-9a-f]{64}/g, 'D'));
  const write = (...rest: readonly string[]): void => {
    writeFileSync(join(project, 'Dockerfile'), ['FROM busybox', ...rest, ''].join('\n'));
  };
  const COPIED = 'COPY --from=copied /etc/passwd /copied';
  const MOUNTED = 'RUN --mount=from=mounted,target=/m true';

  beforeAll(async () => {
    repository = join(bench.dir, 'repository.git');
    execFileSync('git', ['init', '-q', '-b', 'main', repository]);
    commit('one');
    const port = await freePort();
    const args = ['daemon', '--export-all', `--base-path=${bench.dir}`, '--listen=127.0.0.1', `--port=${port}`];
    daemon = spawn('git', args, { stdio: 'ignore', detached: true });
    git = `git://127.0.0.1:${port}/repository.git#main`;
    for (const name of ['busybox', 'copied', 'mounted', 'later'])
      registry.push(`${join(bench.dir, 'busybox-layout')}:latest`, name);
    project = bench.context('project', {});
    content = 'one';
  });
  afterAll(() => {
    if (daemon.pid !== undefined) process.kill(-daemon.pid);
  });

  it('is pinned; lock --update shows what came, went and moved', async () => {
    write(COPIED, MOUNTED, `ADD ${url} /url`, `ADD ${git} /git`);
    const first = await bench.run(['lock', project]);
    expect(first, first.stderr).toMatchObject({ code: 0 });
    const head = run('rev-parse', 'HEAD');
    expect(lines(first.stdout).toSorted()).toEqual(
      [
        ...['busybox', 'copied', 'mounted'].map((name) => `+ docker.io/library/${name}:latest D`),
        `+ ${url} D`,
        `+ ${git} ${head}`,
      ].toSorted(),
    );
    const built = await bench.run(['build', '--frozen', project]);
    expect(built, built.stderr).toMatchObject({ code: 0 });

    const next = commit('two');
    content = 'other';
    write(`ADD ${url} /url`, `ADD ${git} /git`, 'COPY --from=later /etc/passwd /later');
    const update = await bench.run(['lock', '--update', project]);
    expect(update, update.stderr).toMatchObject({ code: 0 });
    expect(
      lines(update.stdout)
        .filter((line) => !line.includes('busybox'))
        .toSorted(),
    ).toEqual(
      [
        '+ docker.io/library/later:latest D',
        '- docker.io/library/copied:latest D',
        '- docker.io/library/mounted:latest D',
        `~ ${git} ${head} -> ${next}`,
        `~ ${url} D -> D`,
      ].toSorted(),
    );
    expect(pins().git).toEqual({ [git]: next });
    expect(Object.keys(pins().images)).toEqual(['docker.io/library/busybox:latest', 'docker.io/library/later:latest']);
    expect((await bench.run(['lock', '--update', project])).stdout).toContain('up to date');
  });

  it.each([
    ['an image of COPY --from', () => COPIED, () => 'docker.io/library/copied:latest'],
    ['an image of RUN --mount from', () => MOUNTED, () => 'docker.io/library/mounted:latest'],
    ['a URL', () => `ADD ${url}?other /url`, () => `${url}?other`],
    ['another ref of a repository', () => `ADD ${git.replace('#main', '#v1')} /git`, () => git.replace('#main', '#v1')],
  ])('%s that is not in the lock is refused by build --frozen', async (_, line, name) => {
    write('LABEL a=b', line());
    const result = await bench.run(['build', '--frozen', project]);
    expect(result.code, result.stderr).toBe(2);
    expect(result.stderr).toContain(`error: slipway.lock does not pin ${name()}\n`);
    expect(result.stderr).toContain('Dockerfile:3');
  });
});

it('says that a lock is damaged', async () => {
  writeFileSync(join(context, 'slipway.lock'), '{"version":1,"images":{"a":"latest"}}');
  const result = await bench.run(['build', '--frozen', context]);
  expect(result.code).toBe(2);
  expect(result.stderr).toContain('damaged');
});
