import { existsSync, mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import { connect, createServer, type Server } from 'node:net';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ExecMount, LayerId } from '../contracts/index.ts';
import { openFixture, outline, processesWith, until, type Fixture } from './test-fixture.ts';

let fixture: Fixture;
let src: LayerId;
beforeAll(async () => {
  fixture = await openFixture();
  src = await fixture.layer((directory) => {
    mkdirSync(`${directory}/dir/sub`, { recursive: true });
    writeFileSync(`${directory}/dir/file`, 'from layer\n');
    writeFileSync(`${directory}/one`, 'one\n');
    symlinkSync('/dir', `${directory}/link`);
    symlinkSync('../../../../../../../../etc', `${directory}/up`);
    symlinkSync('/etc/shadow', `${directory}/host`);
  });
});
afterAll(async () => {
  await fixture.close();
});

const bind = (source: string, target: string, readonly = true): ExecMount => ({
  type: 'bind',
  target,
  layers: [src],
  source,
  readonly,
});

describe('bind', () => {
  it.each([
    ['a directory', ['/dir', '/m/x'], 'cat /m/x/file', 'from layer\n'],
    ['a file', ['/one', '/m/one.txt'], 'cat /m/one.txt', 'one\n'],
    ['through a link, inside the root', ['link', '/m'], 'cat /m/file', 'from layer\n'],
    ['all of it', ['', '/m'], 'ls /m | wc -l', '5\n'],
    ['writes are refused', ['/dir', '/m'], 'touch /m/x 2>&1 | grep -c Read-only', '1\n'],
    ['over something that is there', ['/dir', '/etc'], 'ls /etc; cat /etc/file', 'file\nsub\nfrom layer\n'],
  ] as const)('%s', async (_, [source, target], script, expected) => {
    const { stdout, stderr, tree } = await fixture.run(script, { mounts: [bind(source, target)] });
    expect([stdout, stderr]).toEqual([expected, '']);
    expect(outline(tree)).toEqual([]);
  });

  it('with rw throws the writes away, and another mount of the layer does not see them', async () => {
    const { stdout, tree } = await fixture.run('echo changed > /m/file; rm -r /m/sub; cat /m/file /n/file; ls /n', {
      mounts: [bind('/dir', '/m', false), bind('/dir', '/n', false)],
    });
    expect(stdout).toBe('changed\nfrom layer\nfile\nsub\n');
    expect(outline(tree)).toEqual([]);
    expect(readFileSync(`${fixture.store.layerDir(src)}/dir/file`, 'utf8')).toBe('from layer\n');
  });

  it.each([
    ['missing', '/none'],
    ['a link that leads above the root', 'up/passwd'],
    ['a link to a host file (CVE-2024-1753)', 'host'],
  ])('%s is no source', async (_, source) => {
    await expect(fixture.run('true', { mounts: [bind(source, '/m')] })).rejects.toMatchObject({
      code: 'source-missing',
    });
  });

  it('leaves what the step wrote beside the mount point', async () => {
    const { tree } = await fixture.run('echo 1 > /m/own; true', { mounts: [bind('/dir', '/m/x')] });
    expect(outline(tree)).toEqual(['m directory', 'm/own file']);
    expect(tree?.get('m')).toMatchObject({ mode: 0o755 });
  });

  it('leaves no times that the mount point made', async () => {
    const { tree } = await fixture.run('echo 1 > /opt/new && touch -d @5 /opt', { mounts: [bind('/dir', '/opt/a/b')] });
    expect(outline(tree)).toEqual(['opt directory', 'opt/new file']);
    expect(tree?.get('opt')).toMatchObject({ mtime: 5 });
  });
});

describe('stubs of mount points (CVE-2024-23652)', () => {
  it('are not removed through a link that the step put there', async () => {
    const outside = `${fixture.root}/outside`;
    mkdirSync(`${outside}/inner`, { recursive: true });
    writeFileSync(`${outside}/empty`, '');
    const { tree } = await fixture.run(
      // The mount itself is busy; its parent is not.
      `mv /s /moved && ln -s ${outside} /s && ln -s ${outside} /t`,
      { mounts: [bind('/one', '/s/empty'), bind('/dir', '/s/inner')] },
    );
    expect(existsSync(`${outside}/empty`)).toBe(true);
    expect(existsSync(`${outside}/inner`)).toBe(true);
    expect(outline(tree).filter((line) => line.endsWith('symlink'))).toEqual(['s symlink', 't symlink']);
  });
});

describe('cache', () => {
  const cache = (id: string, more: Partial<Extract<ExecMount, { type: 'cache' }>> = {}): ExecMount => ({
    type: 'cache',
    target: '/c',
    id,
    sharing: 'shared',
    source: '',
    readonly: false,
    ...more,
  });

  it('is kept between steps and is no part of the layer', async () => {
    const first = await fixture.run('stat -c %a:%u:%g /c; echo 1 > /c/x', { mounts: [cache('keep')] });
    expect(first.stdout).toBe('755:0:0\n');
    expect(outline(first.tree)).toEqual([]);
    expect((await fixture.run('cat /c/x', { mounts: [cache('keep')] })).stdout).toBe('1\n');
    expect((await fixture.run('ls /c', { mounts: [cache('other')] })).stdout).toBe('');
  });

  it('has mode and owner when it is new', async () => {
    const mounts = [cache('owned', { mode: 0o1770, uid: 5, gid: 6 })];
    expect((await fixture.run('stat -c %a:%u:%g /c', { mounts })).stdout).toBe('1770:5:6\n');
  });

  it('grows on what it is seeded with', async () => {
    const mounts = [cache('seeded', { seed: { layers: [src], source: '/dir' } })];
    expect((await fixture.run('cat /c/file; echo 2 > /c/file', { mounts })).stdout).toBe('from layer\n');
    expect((await fixture.run('cat /c/file', { mounts })).stdout).toBe('2\n');
    expect(readFileSync(`${fixture.store.layerDir(src)}/dir/file`, 'utf8')).toBe('from layer\n');
  });

  it('stays in the store whatever its id says (CVE-2024-9675)', async () => {
    const mounts = [cache('../../../../etc')];
    const { stdout } = await fixture.run('ls /c; touch /c/here', { mounts });
    expect(stdout).toBe('');
    expect(existsSync('/etc/here')).toBe(false);
  });

  it('shared: at the same time the same; private: another', async () => {
    const both = async (sharing: 'shared' | 'private'): Promise<readonly string[]> => {
      const mounts = [cache(`two-${sharing}`, { sharing })];
      const script = (own: string, other: string): string =>
        `touch /c/${own}; i=0; while [ ! -e /c/${other} -a $i -lt 20 ]; do sleep 0.05; i=$((i+1)); done; ls /c`;
      const outcomes = await Promise.all([
        fixture.run(script('a', 'b'), { mounts }),
        fixture.run(script('b', 'a'), { mounts }),
      ]);
      return outcomes.map(({ stdout }) => stdout).sort();
    };
    expect(await both('shared')).toEqual(['a\nb\n', 'a\nb\n']);
    expect(await both('private')).toEqual(['a\n', 'b\n']);
  });

  it('locked: one after the other', async () => {
    const mounts = [cache('locked', { sharing: 'locked' })];
    const script = 'mkdir /c/busy || exit 9; sleep 0.1; rmdir /c/busy; echo x >> /c/log; wc -l < /c/log';
    const outcomes = await Promise.all([1, 2, 3].map(() => fixture.run(script, { mounts })));
    expect(outcomes.map(({ stdout }) => stdout.trim()).sort()).toEqual(['1', '2', '3']);
  });

  it('locked: who waits for more than a moment says for which, once', async () => {
    const mounts = [cache('locked-3', { sharing: 'locked' })];
    const holder = fixture.run('touch /c/held; until [ -e /free/now ]; do sleep 0.05; done', {
      mounts: [...mounts, cache('free', { sharing: 'shared', target: '/free' })],
    });
    await until(() => existsSync(`${fixture.store.cacheDir('locked-3')}/0/fs/held`));
    let said = '';
    const waiting = fixture.run('echo mine >&2', { mounts }, undefined, (text) => (said += text));
    await until(() => said.includes('waiting'));
    writeFileSync(`${fixture.store.cacheDir('free')}/0/fs/now`, '');
    expect((await holder).stderr).toBe('');
    expect((await waiting).stderr).toBe(
      'waiting for the cache mount /c (id=locked-3), which is locked by another step\nmine\n',
    );
  });

  it('waits for a locked one only until it is cancelled', async () => {
    const mounts = [cache('locked-2', { sharing: 'locked' })];
    const controller = new AbortController();
    const holder = fixture.run('touch /c/held; sleep 60', { mounts }, controller.signal);
    await until(() => existsSync(`${fixture.store.cacheDir('locked-2')}/0/fs/held`));
    const waiter = new AbortController();
    const waiting = fixture.run('true', { mounts }, waiter.signal);
    waiter.abort();
    await expect(waiting).rejects.toMatchObject({ code: 'cancelled' });
    controller.abort();
    await expect(holder).rejects.toMatchObject({ code: 'cancelled' });
  });

  it('shows a sub-path, never another place, whatever a step at the same time makes of the path (CVE-2024-23651)', async () => {
    const controller = new AbortController();
    const hostile = fixture.run(
      'mkdir /c/real; while :; do rm -rf /c/p; ln -s ../../../../../../../../etc /c/p; rm -f /c/p; mkdir /c/p; done',
      { mounts: [cache('race')] },
      controller.signal,
    );
    const ended = hostile.catch(() => undefined);
    await until(() => existsSync(`${fixture.store.cacheDir('race')}/0/fs/real`));
    for (let i = 0; i < 15; i++) {
      const outcome = await fixture
        .run('ls /c', { mounts: [cache('race', { source: 'p' })] })
        .catch((error: unknown) => error);
      expect(outcome instanceof Error ? '' : (outcome as { stdout: string }).stdout).not.toContain('os-release');
    }
    controller.abort();
    await ended;
  });
});

describe('secret', () => {
  it('is a file with owner and mode on a tmpfs, and leaves nothing', async () => {
    const hostFile = `${fixture.root}/secret`;
    writeFileSync(hostFile, 'sesame', { mode: 0o600 });
    const { stdout, tree } = await fixture.run(
      'cat /run/secrets/s; stat -c " %a:%u:%g" /run/secrets/s; grep /run/secrets/s /proc/mounts | cut -d" " -f3; (echo x > /run/secrets/s) 2>&1 | grep -c Read-only',
      { mounts: [{ type: 'secret', target: '/run/secrets/s', hostFile, uid: 3, gid: 4, mode: 0o440 }] },
    );
    expect(stdout).toBe('sesame 440:3:4\ntmpfs\n1\n');
    expect(outline(tree)).toEqual([]);
  });
});

describe('ssh', () => {
  let server: Server;
  const hostSocket = (): string => `${fixture.root}/agent`;
  beforeAll(async () => {
    server = createServer((socket) => socket.end('hello from the agent\n'));
    await new Promise<void>((resolve) => server.listen(hostSocket(), resolve));
  });
  afterAll(() => {
    server.close();
  });

  it('is a socket of the step with owner and mode, behind which the agent answers', async () => {
    const { stdout, tree } = await fixture.run('stat -c "%F %a:%u:%g" /run/agent.0', {
      mounts: [{ type: 'ssh', target: '/run/agent.0', hostSocket: hostSocket(), uid: 1000, gid: 1001, mode: 0o600 }],
    });
    expect(stdout).toBe('socket 600:1000:1001\n');
    expect(outline(tree)).toEqual([]);
  });

  it('passes on what is said, both ways', async () => {
    const controller = new AbortController();
    const marker = '31337.875';
    const work = fixture.run(
      `sleep ${marker}`,
      { mounts: [{ type: 'ssh', target: '/agent', hostSocket: hostSocket(), uid: 0, gid: 0, mode: 0o600 }] },
      controller.signal,
    );
    await until(() => processesWith(`sleep\0${marker}`).length === 1);
    const [pid] = processesWith(`sleep\0${marker}`);
    const answer = await new Promise<string>((resolve) => {
      let text = '';
      connect(`/proc/${String(pid)}/root/agent`)
        .on('data', (data) => (text += data.toString()))
        .on('close', () => resolve(text));
    });
    expect(answer).toBe('hello from the agent\n');
    controller.abort();
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('tmpfs', () => {
  it('takes over the mode of what it hides, and can be read-only', async () => {
    const { stdout } = await fixture.run('stat -c "%n %a" /opt /tmp /new; touch /opt/x 2>&1 | grep -c Read-only', {
      mounts: [
        { type: 'tmpfs', target: '/opt', readonly: true },
        { type: 'tmpfs', target: '/tmp' },
        { type: 'tmpfs', target: '/new' },
      ],
    });
    expect(stdout).toBe('/opt 755\n/tmp 1777\n/new 1777\n1\n');
  });

  it('has its size and loses its content', async () => {
    const { stdout, tree } = await fixture.run(
      'echo 1 > /t/x; df -k /t | tail -1 | grep -o "^tmpfs *[0-9]*" | tr -s " "',
      {
        mounts: [{ type: 'tmpfs', target: '/t', size: 2 << 20 }],
      },
    );
    expect(stdout).toBe('tmpfs 2048\n');
    expect(outline(tree)).toEqual([]);
  });
});

describe('the order of mounts', () => {
  it('is parents first, whatever the order asked', async () => {
    const { stdout } = await fixture.run('ls /a /a/b', {
      mounts: [bind('/dir', '/a/b'), { type: 'tmpfs', target: '/a' }],
    });
    expect(stdout).toBe('/a:\nb\n\n/a/b:\nfile\nsub\n');
  });
});
