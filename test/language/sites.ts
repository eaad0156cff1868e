/** The web server and the git server that cases fetch from, with the same content each time. */
import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { freePort } from '../support/registry.ts';

export interface Sites {
  readonly www: string;
  readonly git: string;
  stop(): Promise<void>;
}

/** Of everything that is fetched; the same as that of files in contexts. */
const MODIFIED = new Date('2001-02-03T04:05:06Z');

export async function startSites(dir: string): Promise<Sites> {
  const pages = webPages(join(dir, 'www'));
  const server = createServer((request, response) => {
    const path = new URL(request.url ?? '/', 'http://x').pathname;
    if (path === '/moved') {
      response.writeHead(302, { location: '/sub/page.txt' }).end();
      return;
    }
    const body = pages.get(path);
    if (body === undefined) {
      response.writeHead(404).end();
      return;
    }
    response.writeHead(200, {
      'content-length': body.length,
      'content-type': 'application/octet-stream',
      ...(path === '/undated' ? {} : { 'last-modified': MODIFIED.toUTCString() }),
      ...(path === '/named' ? { 'content-disposition': 'attachment; filename="given.bin"' } : {}),
    });
    response.end(request.method === 'HEAD' ? undefined : body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const root = join(dir, 'git');
  gitRepository(root);
  const port = await freePort();
  const args = ['daemon', '--reuseaddr', '--export-all', '--listen=127.0.0.1', `--port=${port}`, `--base-path=${root}`];
  const daemon = spawn('git', [...args, root], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => daemon.on('exit', () => resolve()));
  while (!(await answers(port))) await new Promise((resolve) => setTimeout(resolve, 20));
  return {
    www: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    git: `git://127.0.0.1:${port}`,
    stop: async () => {
      daemon.kill();
      server.closeAllConnections();
      server.close();
      await exited;
    },
  };
}

function webPages(dir: string): ReadonlyMap<string, Buffer> {
  mkdirSync(join(dir, 'in/d'), { recursive: true });
  writeFileSync(join(dir, 'in/one'), '1');
  writeFileSync(join(dir, 'in/d/two'), '2');
  writeFileSync(join(dir, 'in/Dockerfile'), 'FROM scratch\nCOPY one d /all/\n');
  const tar = execFileSync('tar', [
    ...['--sort=name', '--owner=5:5', '--group=6:6', `--mtime=${MODIFIED.toISOString()}`, '--mode=u=rwX,go=rX'],
    ...['-C', join(dir, 'in'), '-cf', '-', '.'],
  ]);
  return new Map([
    ['/page.txt', Buffer.from('a page')],
    ['/sub/page.txt', Buffer.from('another page')],
    ['/named', Buffer.from('named by its header')],
    ['/undated', Buffer.from('of no date')],
    ['/', Buffer.from('the index')],
    ['/a b', Buffer.from('with a space')],
    ['/archive.tar', tar],
    ['/archive.tar.gz', gzipSync(tar)],
    ['/context', gzipSync(tar)],
    ['/Dockerfile', Buffer.from('FROM scratch\nLABEL from=web\n')],
  ]);
}

/**
 * `repo.git`: `main` with two commits, tag `v1` at the first. `mods.git`: the same, and a branch `modules` with a
 * submodule; apart, as a daemon leaves what it checked out of a submodule for the next checkout of the repository.
 */
function gitRepository(root: string): void {
  const repo = join(root, 'repo.git');
  const sub = join(root, 'sub.git');
  const git = (cwd: string, ...args: string[]): void => {
    const time = MODIFIED.toISOString();
    execFileSync('git', ['-c', 'protocol.file.allow=always', '-c', 'user.name=t', '-c', 'user.email=t@t', ...args], {
      cwd,
      stdio: ['ignore', 'ignore', 'pipe'],
      env: { PATH: process.env['PATH'], HOME: root, GIT_COMMITTER_DATE: time, GIT_AUTHOR_DATE: time },
    });
  };
  mkdirSync(sub, { recursive: true });
  mkdirSync(join(repo, 'dir/sub'), { recursive: true });
  git(sub, 'init', '-q', '-b', 'main');
  writeFileSync(join(sub, 'inner'), 'of a submodule');
  git(sub, 'add', '.');
  git(sub, 'commit', '-qm', 'sub');
  git(repo, 'init', '-q', '-b', 'main');
  writeFileSync(join(repo, 'file'), 'one');
  writeFileSync(join(repo, 'run.sh'), '#!/bin/sh\n', { mode: 0o755 });
  writeFileSync(join(repo, 'dir/sub/deep'), 'deep');
  writeFileSync(join(repo, 'dir/Dockerfile'), 'FROM scratch\nCOPY . /of-dir/\n');
  writeFileSync(join(repo, 'Dockerfile'), 'FROM scratch\nCOPY . /of-repo/\n');
  writeFileSync(join(repo, '.dockerignore'), 'file\n');
  writeFileSync(
    join(repo, 'big.bin'),
    `version https://git-lfs.github.com/spec/v1\noid sha256:${'0'.repeat(64)}\nsize 12345\n`,
  );
  writeFileSync(join(repo, '.gitattributes'), '*.bin filter=lfs diff=lfs merge=lfs -text\n');
  symlinkSync('dir/sub', join(repo, 'link'));
  git(repo, 'add', '.');
  git(repo, 'commit', '-qm', 'one');
  git(repo, 'tag', 'v1');
  writeFileSync(join(repo, 'file'), 'two');
  git(repo, 'commit', '-qam', 'two');
  execFileSync('cp', ['-a', repo, join(root, 'mods.git')]);
  const mods = join(root, 'mods.git');
  git(mods, 'checkout', '-q', '-b', 'modules');
  git(mods, 'submodule', '-q', 'add', sub, 'mod');
  git(mods, 'config', '-f', '.gitmodules', 'submodule.mod.url', '../sub.git');
  git(mods, 'commit', '-qam', 'modules');
}

async function answers(port: number): Promise<boolean> {
  return await new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1', () => {
      socket.destroy();
      resolve(true);
    });
    socket.on('error', () => resolve(false));
  });
}
