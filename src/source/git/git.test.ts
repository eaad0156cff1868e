import { execFileSync, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { freePort } from '../../../test/support/registry.ts';
import type { Snapshot } from '../../contracts/index.ts';
import { sourceVertex, startBuild } from '../testing/build.ts';
import type { TestBuild } from '../testing/build.ts';
import { parseGitSource } from './source.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-git-'));
let daemon: ChildProcess;
let base: string;
const commits: Record<string, string> = {};
const open: TestBuild[] = [];

function git(cwd: string, ...args: string[]): string {
  const time = '2001-02-03T04:05:06Z';
  return execFileSync(
    'git',
    ['-c', 'protocol.file.allow=always', '-c', 'user.name=t', '-c', 'user.email=t@t', ...args],
    {
      cwd,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: dir, GIT_COMMITTER_DATE: time, GIT_AUTHOR_DATE: time },
    },
  ).trim();
}

beforeAll(async () => {
  const port = await freePort();
  base = `git://127.0.0.1:${port}`;
  mkdirSync(join(dir, 'srv/sub'), { recursive: true });
  const repo = join(dir, 'srv/repo.git');
  const sub = join(dir, 'srv/sub');
  git(sub, 'init', '-q', '-b', 'main');
  writeFileSync(join(sub, 'inner'), 'submodule');
  git(sub, 'add', '.');
  git(sub, 'commit', '-qm', 'sub');
  mkdirSync(join(repo, 'dir'), { recursive: true });
  git(repo, 'init', '-q', '-b', 'main');
  writeFileSync(join(repo, 'file'), 'one', { mode: 0o777 });
  writeFileSync(join(repo, 'dir/deep'), 'deep');
  symlinkSync('/etc', join(repo, 'escape'));
  symlinkSync('dir', join(repo, 'inside'));
  git(repo, 'add', '.');
  git(repo, 'commit', '-qm', 'one');
  commits['one'] = git(repo, 'rev-parse', 'HEAD');
  git(repo, 'tag', '-am', 'annotated', 'v1');
  git(repo, 'tag', 'both');
  git(repo, 'branch', 'both');
  writeFileSync(join(repo, 'file'), 'two');
  git(repo, 'commit', '-qam', 'two');
  commits['two'] = git(repo, 'rev-parse', 'HEAD');
  git(repo, 'branch', 'evil');
  git(repo, 'branch', 'modules');
  git(repo, 'checkout', '-q', 'modules');
  git(repo, 'submodule', '-q', 'add', join(dir, 'srv/sub'), 'mod');
  git(repo, 'config', '-f', '.gitmodules', 'submodule.mod.url', `${base}/sub`);
  git(repo, 'commit', '-qam', 'modules');
  git(repo, 'checkout', '-q', 'evil');
  git(repo, 'submodule', '-q', 'add', join(dir, 'srv/sub'), 'mod');
  git(repo, 'commit', '-qam', 'a submodule from the server’s own disk');
  git(repo, 'checkout', '-q', 'main');
  const args = [
    'daemon',
    '--reuseaddr',
    '--export-all',
    '--listen=127.0.0.1',
    `--port=${port}`,
    `--base-path=${join(dir, 'srv')}`,
    join(dir, 'srv'),
  ];
  daemon = spawn('git', args, {
    stdio: 'ignore',
    env: { ...process.env, GIT_CONFIG_COUNT: '1', GIT_CONFIG_KEY_0: 'safe.directory', GIT_CONFIG_VALUE_0: '*' },
    detached: true,
  });
  for (let i = 0; i < 100; i++) {
    const up = await new Promise((resolve) => {
      const socket = connect(port, '127.0.0.1', () => resolve(true)).on('error', () => resolve(false));
      socket.on('close', () => undefined);
      setTimeout(() => socket.destroy(), 50);
    });
    if (up === true) break;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
});
afterEach(async () => {
  for (const build of open.splice(0)) await build.close();
});
afterAll(() => {
  if (daemon.pid !== undefined) process.kill(-daemon.pid, 'SIGKILL');
  rmSync(dir, { recursive: true });
});

async function build(): Promise<TestBuild> {
  const started = await startBuild(mkdtempSync(join(dir, 'state-')), { env: { PATH: process.env['PATH'], HOME: dir } });
  open.push(started);
  return started;
}

const vertexOf = (fragment: string, attrs: Record<string, string> = {}) =>
  sourceVertex(`git://127.0.0.1/repo.git${fragment}`, { 'git.fullurl': `${base}/repo.git`, ...attrs });

async function contents(snapshot: Snapshot): Promise<Record<string, string>> {
  const found: Record<string, string> = {};
  for (const [path, entry] of await snapshot.files.walk('')) {
    if (entry.type === 'symlink') found[path] = `-> ${entry.target}`;
    if (entry.type !== 'file') continue;
    const [location] = await snapshot.files.locate([path]);
    found[path] = location?.kind === 'file' ? readFileSync(location.path, 'utf8') : '';
  }
  return found;
}

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );
const links = { escape: '-> /etc', inside: '-> dir' };

describe('a repository', () => {
  it.each([
    ['', {}, 'two'],
    ['#main', {}, 'two'],
    ['#v1', {}, 'one'],
    ['#refs/tags/v1', {}, 'one'],
    ['#both', {}, 'one'],
  ] as const)('at %j', async (fragment, attrs, text) => {
    const { sources, context } = await build();
    const vertex = vertexOf(fragment, attrs);
    expect(await sources.sourceKey(vertex, context)).toContain(commits[text]);
    expect(await contents(await sources.snapshot(vertex, context))).toEqual({
      'dir/deep': 'deep',
      file: text,
      ...links,
    });
  });

  it('at a commit, which needs no asking', async () => {
    const { sources, context } = await build();
    const commit = commits['one'] ?? '';
    const nowhere = sourceVertex(`git://x/y#${commit}`, { 'git.fullurl': 'git://127.0.0.1:1/x' });
    expect(await sources.sourceKey(nowhere, context)).toContain(commit);
    expect(await contents(await sources.snapshot(vertexOf(`#${commit}`), context))).toMatchObject({ file: 'one' });
  });

  it('is equal for equal commits: git’s modes, the commit’s time, no owner', async () => {
    const { sources, context } = await build();
    const { files } = await sources.snapshot(vertexOf('#v1'), context);
    expect(await files.lookup('file')).toMatchObject({ mode: 0o755, mtime: 981173106, mtimeNsec: 0, uid: 0 });
    expect(await files.lookup('dir/deep')).toMatchObject({ mode: 0o644, mtime: 981173106 });
    expect(await files.lookup('dir')).toMatchObject({ mode: 0o755, mtime: 981173106 });
  });

  it('may be seen from a directory of it, not from outside', async () => {
    const { sources, context } = await build();
    expect(await contents(await sources.snapshot(vertexOf('#main:dir'), context))).toEqual({ deep: 'deep' });
    expect(await contents(await sources.snapshot(vertexOf('#main:inside'), context))).toEqual({ deep: 'deep' });
    for (const subdir of ['escape', '../..', 'file', 'nope']) {
      expect(await failure(sources.snapshot(vertexOf(`#main:${subdir}`), context)), subdir).toMatchObject({
        code: 'source-missing',
      });
    }
  });

  it('keeps its .git only when asked, without what would run', async () => {
    const { sources, context } = await build();
    const kept = await sources.snapshot(vertexOf('', { 'git.keepgitdir': 'true' }), context);
    expect(await kept.files.lookup('.git/HEAD')).toMatchObject({ type: 'file' });
    expect(await kept.files.lookup('.git/hooks')).toBeUndefined();
    const tagged = await sources.snapshot(vertexOf('#v1', { 'git.keepgitdir': 'true' }), context);
    expect(await tagged.files.lookup('.git/refs/tags/v1')).toMatchObject({ type: 'file' });
    expect(await tagged.files.lookup('.git/FETCH_HEAD')).toBeUndefined();
    const plain = await sources.snapshot(vertexOf(''), context);
    expect(await plain.files.lookup('.git')).toBeUndefined();
    expect(await sources.sourceKey(vertexOf(''), context)).not.toBe(
      await sources.sourceKey(vertexOf('', { 'git.keepgitdir': 'true' }), context),
    );
  });

  it('brings its submodules', async () => {
    const { sources, context } = await build();
    const snapshot = await sources.snapshot(vertexOf('#modules'), context);
    expect(await contents(snapshot)).toMatchObject({ 'mod/inner': 'submodule' });
    expect(await snapshot.files.lookup('mod/.git')).toBeUndefined();
    const without = await sources.snapshot(vertexOf('#modules', { 'git.skipsubmodules': 'true' }), context);
    expect(await without.files.lookup('mod/inner')).toBeUndefined();
  });

  it('reads no submodule from our own disk (CVE-2022-39253)', async () => {
    const { sources, context } = await build();
    expect(await failure(sources.snapshot(vertexOf('#evil'), context))).toMatchObject({
      code: 'context',
      detail: expect.arrayContaining([expect.stringContaining("transport 'file' not allowed")]) as string[],
    });
  });

  it('runs no hooks of the user', async () => {
    const hooks = join(dir, 'hooks');
    mkdirSync(hooks);
    writeFileSync(join(hooks, 'post-checkout'), `#!/bin/sh\ntouch ${join(dir, 'ran')}\n`, { mode: 0o755 });
    writeFileSync(join(dir, '.gitconfig'), `[core]\n\thooksPath = ${hooks}\n`);
    const { sources, context } = await build();
    await sources.snapshot(vertexOf(''), context);
    expect(existsSync(join(dir, 'ran'))).toBe(false);
    rmSync(join(dir, '.gitconfig'));
  });
});

describe('what fails', () => {
  it.each([
    ['an unknown branch', '#nope', {}, 'source-missing', 'has no branch or tag nope'],
    ['another commit than wanted', '#main', { 'git.checksum': 'abcdef' }, 'digest-mismatch', 'wanted abcdef'],
    ['an unknown repository', '', { 'git.fullurl': '%/nope.git' }, 'registry', 'nope.git cannot be fetched'],
    ['nobody there', '', { 'git.fullurl': 'git://127.0.0.1:1/x.git' }, 'registry', 'cannot be fetched'],
  ])('%s', async (_, fragment, attrs, code, message) => {
    const { sources, context } = await build();
    const full = (attrs as Record<string, string>)['git.fullurl']?.replace('%', base);
    const vertex = vertexOf(fragment, { ...attrs, ...(full === undefined ? {} : { 'git.fullurl': full }) });
    expect(await failure(sources.sourceKey(vertex, context))).toMatchObject({
      code,
      message: expect.stringContaining(message) as string,
    });
  });

  it('without git', async () => {
    const started = await startBuild(mkdtempSync(join(dir, 'state-')), { env: { PATH: '/nonexistent', HOME: dir } });
    open.push(started);
    expect(await failure(started.sources.sourceKey(vertexOf(''), started.context))).toMatchObject({
      code: 'host',
      hint: 'install it: apt-get install git',
    });
  });

  it.each([
    ['git://x/y', { 'git.fullurl': 'ext::sh -c touch% /tmp/x' }],
    ['git://x/y', { 'git.fullurl': '--upload-pack=touch /tmp/x' }],
    ['git://x/y', { 'git.fullurl': 'file:///etc' }],
    ['git://x/y', { 'git.fullurl': '/etc' }],
    ['git://x/y', { 'git.fullurl': 'ssh://-oProxyCommand=touch/x' }],
    ['git://x/y', { 'git.fullurl': 'git@-oProxyCommand=x:y' }],
    ['git://x/y#--upload-pack=touch', {}],
    ['git://x/y#a b', {}],
    ['git://x/y#a..b', {}],
    ['git://x/y#+refs/heads/*', {}],
  ])('%s %j is refused before git sees it', (identifier, attrs) => {
    expect(() => parseGitSource(identifier, attrs)).toThrow(expect.objectContaining({ code: 'usage' }));
  });

  it('shows no password', async () => {
    const { sources, context } = await build();
    const vertex = vertexOf('', { 'git.fullurl': 'http://alice:hidden@127.0.0.1:1/x.git' });
    const error = await failure(sources.sourceKey(vertex, context));
    expect(error).toMatchObject({ code: 'registry' });
    expect(JSON.stringify(error) + (error as Error).message).not.toContain('hidden');
  });
});
