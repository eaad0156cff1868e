import { mkdirSync, readFileSync, readdirSync, symlinkSync, writeFileSync as writeText } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { readXattr } from '../sys/xattr.ts';
import { openFixture, outline, processesWith, until, type Fixture } from './test-fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(async () => {
  await fixture.close();
});

async function errorOf(work: Promise<unknown>): Promise<BuildError> {
  const error = await work.then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof BuildError)) throw new Error(`no BuildError: ${String(error)}`);
  return error;
}

describe('what a step leaves', () => {
  it.each([
    ['nothing', 'true', []],
    [
      'a file with its directories',
      'mkdir -p /a/b && echo hi > /a/b/c',
      ['a directory', 'a/b directory', 'a/b/c file'],
    ],
    ['a whiteout', 'rm /etc/group', ['etc directory', 'etc/group whiteout']],
    ['no whiteout of what was never there', 'touch /x && rm /x', []],
    ['a directory that was removed', 'rm -r /opt', ['opt whiteout']],
    ['an opaque directory', 'rm -r /opt && mkdir /opt && echo 1 > /opt/new', ['opt directory!', 'opt/new file']],
    ['a new directory is not opaque', 'mkdir /new && echo 1 > /new/x', ['new directory', 'new/x file']],
    ['hard links, the first name first', 'echo 1 > /z && ln /z /a && ln /z /m', ['a file', 'm file=a', 'z file=a']],
    ['a link to a file of the base: the base name is unchanged', 'ln /etc/group /g', ['g file']],
    ['a file replaced by a directory', 'rm /etc/group && mkdir /etc/group', ['etc directory', 'etc/group directory']],
    ['a directory replaced by a link', 'rm -r /opt && ln -s /tmp /opt', ['opt symlink']],
    ['a fifo and a device', 'mkfifo /f && mknod /d c 1 3', ['d char-device', 'f fifo']],
    ['mode', 'chmod 700 /tmp', ['tmp directory']],
    ['only times of a directory: nothing', 'touch /etc/x && rm /etc/x && touch -d @1 /etc', []],
    ['chmod to what it was: nothing', 'chmod 644 /etc/passwd', []],
    ['chown', 'chown 5:6 /etc/passwd', ['etc directory', 'etc/passwd file']],
    [
      'the same bytes again at another time',
      'cat /etc/passwd > /p && cat /p > /etc/passwd && rm /p',
      ['etc directory', 'etc/passwd file'],
    ],
  ])('%s', async (_, script, expected) => {
    const { result, tree, stderr } = await fixture.run(script);
    expect([result.exitCode, stderr]).toEqual([0, '']);
    expect(outline(tree)).toEqual(expected);
  });

  it('keeps owner, mode, exact times, link text, device numbers and sizes', async () => {
    const { tree, result } = await fixture.run(
      'echo hello > /f && chown 7:8 /f && chmod 4751 /f && touch -d @1000000000 /f && ln -s ../x /l && mknod /d b 8 17',
    );
    const file = tree?.get('f');
    expect(file).toMatchObject({ type: 'file', uid: 7, gid: 8, mode: 0o4751, size: 6, mtime: 1_000_000_000 });
    expect(tree?.get('l')).toMatchObject({ type: 'symlink', target: '../x' });
    expect(tree?.get('d')).toMatchObject({ type: 'block-device', major: 8, minor: 17 });
    expect(result.size).toBe(6);
  });

  it('has in its directory what it has in its tree', async () => {
    const { upper, tree } = await fixture.run(
      'chmod 600 /etc/group; chmod 644 /etc/group; ln /etc/passwd /p; mkdir -p /new/sub && touch /new/sub/x; rm /opt/file; touch /opt/y && rm /opt/y; touch /z && rm /z',
    );
    expect(outline(tree)).toEqual([
      'new directory',
      'new/sub directory',
      'new/sub/x file',
      'opt directory',
      'opt/file whiteout',
      'p file',
    ]);
    const directory = fixture.store.layerDir(upper);
    expect(readdirSync(directory, { recursive: true }).sort()).toEqual([...(tree?.keys() ?? [])].sort());
    for (const path of ['new', 'new/sub']) {
      expect(readXattr(`${directory}/${path}`, 'trusted.overlay.opaque')).toBeUndefined();
    }
  });

  it('sees what lower layers hide, through whiteouts and opaque directories', async () => {
    const one = await fixture.run('mkdir /d && echo 1 > /d/a && echo 1 > /d/b');
    const two = await fixture.run('rm -r /d && mkdir /d && echo 2 > /d/b', { layers: [fixture.base, one.upper] });
    expect(outline(two.tree)).toEqual(['d directory!', 'd/b file']);
    const three = await fixture.run('ls /d; cat /d/b; rm -r /d; echo 3 > /d', {
      layers: [fixture.base, one.upper, two.upper],
    });
    expect(three.stdout).toBe('b\n2\n');
    expect(outline(three.tree)).toEqual(['d file']);
  });

  it('leaves nothing in the store when it fails', async () => {
    const { result, upper, tree } = await fixture.run('echo 1 > /x; exit 3');
    expect(result.exitCode).toBe(3);
    expect(tree).toBeUndefined();
    expect(() => readFileSync(`${fixture.store.layerDir(upper)}/x`)).toThrow(/ENOENT/);
  });

  it('is kept with an exit code that counts as success', async () => {
    const { tree } = await fixture.run('echo 1 > /x; exit 3', { validExitCodes: [0, 3] });
    expect(outline(tree)).toEqual(['x file']);
  });

  it('is read on a thread when there is much of it', async () => {
    const { tree, result } = await fixture.run(
      'mkdir /many && cd /many && i=0; while [ $i -lt 2500 ]; do echo $i > $i; i=$((i+1)); done',
    );
    expect(tree?.size).toBe(2501);
    expect(result.size).toBe(10 * 2 + 90 * 3 + 900 * 4 + 1500 * 5);
  });
});

describe('what a step finds', () => {
  it('streams both outputs, also through /dev/stdout, with stdin empty', async () => {
    const { stdout, stderr } = await fixture.run('cat; echo out > /dev/stdout; echo err > /dev/stderr; echo end');
    expect([stdout, stderr]).toEqual(['out\nend\n', 'err\n']);
  });

  it('has no descriptors but its own', async () => {
    const { stdout } = await fixture.run('ls /proc/self/fd');
    expect(stdout.trim().split('\n')).toEqual(['0', '1', '2', '3']); // 3 is the directory that ls reads
  });

  it('lets another user write to /dev/stdout too', async () => {
    const { stdout, stderr } = await fixture.run('echo out > /dev/stdout; echo err > /dev/stderr', { user: 'app' });
    expect([stdout, stderr]).toEqual(['out\n', 'err\n']);
  });

  it('gets all of a large output', async () => {
    const { stdout } = await fixture.run('yes 0123456789abcdef | head -c 3000000');
    expect(stdout.length).toBe(3_000_000);
  });

  it('has the default capabilities, a seccomp filter and no new privileges to give up', async () => {
    const { stdout } = await fixture.run(
      "grep -E '^(CapEff|CapBnd|CapInh|CapAmb|NoNewPrivs|Seccomp):' /proc/self/status",
    );
    expect(stdout.replaceAll('\t', '')).toBe(
      'CapInh:0000000000000000\nCapEff:00000000a80425fb\nCapBnd:00000000a80425fb\nCapAmb:0000000000000000\nNoNewPrivs:0\nSeccomp:2\n',
    );
  });

  it('has the same filter when the runtime gets it ready-made', async () => {
    for (let i = 0; i < 2; i++) {
      const { stdout } = await fixture.run(
        'mount -t tmpfs none /tmp 2>&1; unshare -U true 2>&1; grep Seccomp: /proc/self/status',
      );
      expect(stdout).toMatch(/mount:.*(denied|permitted)/);
      expect(stdout).toMatch(/unshare:.*permitted/i);
      expect(stdout).toContain('Seccomp:\t2');
    }
  });

  it('cannot open devices, whoever made their nodes', async () => {
    const { stdout, result } = await fixture.run(
      'mknod /null c 1 3 && mknod /kmsg c 1 11 && mknod /dev/disk b 7 0; (echo ok > /null) 2>&1; cat /kmsg 2>&1; cat /dev/disk 2>&1; rm /null /kmsg; true',
    );
    expect(result.exitCode).toBe(0);
    expect(stdout).toMatch(/kmsg.*(not permitted|denied)/);
    expect(stdout).toMatch(/disk.*(not permitted|denied)/);
  });

  it('is alone: own pids, host name, ipc; masked and read-only paths', async () => {
    const { stdout } = await fixture.run(
      'echo $$; hostname; ls /proc | grep -c "^[0-9]*$"; wc -c < /proc/keys; (echo 1 > /proc/sys/kernel/panic) 2>&1; (touch /sys/x) 2>&1; ls /sys/firmware | wc -l',
    );
    const lines = stdout.split('\n');
    expect(lines.slice(0, 2)).toEqual(['1', 'buildkitsandbox']);
    expect(Number(lines[2])).toBeLessThan(6);
    expect(lines[3]).toBe('0');
    expect(stdout.match(/Read-only file system/g)).toHaveLength(2);
    expect(lines.at(-2)).toBe('0');
  });

  it('has hosts and resolv.conf, and leaves no trace of them', async () => {
    const { stdout, tree } = await fixture.run('cat /etc/hosts; cat /etc/resolv.conf > /dev/null && echo there', {
      hostname: 'box',
      extraHosts: [{ host: 'db', ip: '10.0.0.1' }],
    });
    expect(stdout).toBe('127.0.0.1\tlocalhost box\n::1\tlocalhost ip6-localhost ip6-loopback\n10.0.0.1\tdb\nthere\n');
    expect(outline(tree)).toEqual([]);
  });

  it.each([
    ['relative', '../run/resolve/stub.conf'],
    ['absolute', '/run/resolve/stub.conf'],
    ['dangling above the root', '../../../../run/x'],
  ])('finds resolv.conf also where it is a link: %s', async (_, target) => {
    const links = await fixture.layer((directory) => {
      mkdirSync(`${directory}/etc`);
      symlinkSync(target, `${directory}/etc/resolv.conf`);
    });
    const { stdout, tree } = await fixture.run('grep -c . /etc/resolv.conf; readlink /etc/resolv.conf', {
      layers: [fixture.base, links],
    });
    expect(stdout).toMatch(new RegExp(`^[1-9]\\d*\n${target}\n$`));
    expect(outline(tree)).toEqual([]);
  });

  it.each(['/proc/self/fd/3', '/proc/self/fd/8', '/proc/1/root', '/proc/self/cwd'])(
    'sees nothing of the host through WORKDIR %s (CVE-2024-21626)',
    async (cwd) => {
      const outcome = await fixture.run('ls; ls ..; ls ../../../../..', { cwd }).catch((error: unknown) => error);
      const seen = outcome instanceof BuildError ? '' : (outcome as { stdout: string }).stdout;
      expect(seen).not.toMatch(/statcache|db\.sqlite|lost\+found|vmlinuz/);
      expect(seen).not.toContain('boot');
    },
  );

  it('has only loopback without a network', async () => {
    const { stdout } = await fixture.run(
      'cat /proc/net/dev | tail -n +3 | cut -d: -f1 | tr -d " "; ping -c1 -W1 127.0.0.1 > /dev/null && echo up',
      {
        network: 'none',
      },
    );
    expect(stdout.split('\n').filter((line) => line !== '' && !/^(tunl|sit|ip6|gre|erspan|ip_vti)/.test(line))).toEqual(
      ['lo', 'up'],
    );
  });

  it.each([
    ['', 'uid=0(root) gid=0(root) groups=0(root),2000(extra)'],
    ['app', 'uid=1000(app) gid=1001(apps) groups=1001(apps),2000(extra)'],
    ['1000', 'uid=1000(app) gid=1001(apps) groups=1001(apps),2000(extra)'],
    ['app:nogroup', 'uid=1000(app) gid=65534(nogroup) groups=65534(nogroup)'],
    ['4242', 'uid=4242 gid=0(root) groups=0(root)'],
    ['4242:4343', 'uid=4242 gid=4343 groups=4343'],
  ])('runs as USER %j', async (user, expected) => {
    const { stdout } = await fixture.run('id', { user });
    expect(stdout.trim()).toBe(expected);
  });

  it('makes a missing working directory, owned by the user', async () => {
    const { stdout, tree } = await fixture.run('pwd; stat -c %u:%g:%a .', { user: 'app', cwd: '/work/here' });
    expect(stdout).toBe('/work/here\n1000:1001:755\n');
    expect(outline(tree)).toEqual(['work directory', 'work/here directory']);
  });

  it('clamps limits to our own', async () => {
    const { stdout } = await fixture.run('ulimit -n; ulimit -Hn', {
      ulimits: [{ name: 'nofile', soft: 512, hard: 2 ** 40 }],
    });
    const [soft, hard] = stdout.trim().split('\n').map(Number);
    expect(soft).toBe(512);
    expect(hard).toBeGreaterThan(512);
  });

  it('gets the size of /dev/shm', async () => {
    const { stdout } = await fixture.run('df -k /dev/shm | tail -1', { shmSize: 1 << 20 });
    expect(stdout).toMatch(/\b1024\b/);
  });

  it('cannot write to a read-only root', async () => {
    const { stdout, tree } = await fixture.run('touch /x 2>&1; true', { rootReadonly: true });
    expect(stdout).toMatch(/Read-only file system/);
    expect(outline(tree)).toEqual([]);
  });

  it('starts from nothing; what is mounted for every step stays, as with BuildKit', async () => {
    const { tree } = await fixture.run('', {
      layers: [],
      args: ['/in/busybox', 'touch', '/made'],
      mounts: [{ type: 'bind', target: '/in', layers: [fixture.base], source: '/bin', readonly: true }],
    });
    expect(outline(tree)).toEqual(['dev directory', 'made file', 'proc directory', 'sys directory']);
  });
});

describe('many layers', () => {
  it.each([130, 450])('%i', async (count) => {
    const layers = [fixture.base];
    for (let i = 1; i < count; i++) {
      layers.push(await fixture.layer((directory) => writeLayer(directory, i)));
    }
    const { stdout, tree } = await fixture.run('ls / | grep -c "^f"; cat /last; rm /f1', { layers });
    expect(stdout).toBe(`${count - 1}\n${count - 1}\n`);
    expect(outline(tree)).toEqual(['f1 whiteout']);
  });
});

function writeLayer(directory: string, number: number): void {
  writeText(`${directory}/f${number}`, String(number));
  writeText(`${directory}/last`, `${number}\n`);
}

describe('errors', () => {
  it.each([
    ['an unknown user', { user: 'ghost' }, 'run-failed', /unable to find user ghost: no matching entries in passwd/],
    ['an unknown group', { user: 'app:ghosts' }, 'run-failed', /unable to find group ghosts/],
    ['no such program', { args: ['/bin/none'] }, 'run-failed', /\/bin\/none.*not found/],
    ['not executable', { args: ['/etc/passwd'] }, 'run-failed', /ermission denied/],
    ['a working directory that is a file', { cwd: '/etc/passwd' }, 'run-failed', /not a directory/],
  ] as const)('%s', async (_, request, code, message) => {
    const error = await errorOf(fixture.run('true', request));
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
  });

  it('says which exit code a signal has', async () => {
    const { result } = await fixture.run("sh -c 'kill -9 $$'; exit $?");
    expect(result).toMatchObject({ exitCode: 137, signal: 'SIGKILL' });
    expect((await fixture.run('exit 7')).result).toEqual({ exitCode: 7 });
  });

  it('ends a step at once when it is cancelled, with all that it started', async () => {
    const controller = new AbortController();
    const marker = '31337.25';
    const work = fixture.run(
      `trap "" TERM INT; sleep ${marker} & echo started; sleep ${marker}`,
      {},
      controller.signal,
    );
    await until(() => processesWith(marker).length > 1);
    controller.abort();
    expect((await errorOf(work)).code).toBe('cancelled');
    expect(processesWith(marker)).toEqual([]);
    expect((await fixture.run('echo fine')).stdout).toBe('fine\n');
  });

  it('can be cancelled at any moment of its start', async () => {
    const marker = '31337.75';
    for (let delay = 0; delay < 24; delay += 2) {
      const controller = new AbortController();
      const work = fixture.run(`sleep ${marker}`, {}, controller.signal);
      setTimeout(() => controller.abort(), delay);
      expect((await errorOf(work)).code).toBe('cancelled');
      expect(processesWith(`sleep\0${marker}`)).toEqual([]);
    }
    expect((await fixture.run('ls /proc | grep -c "^[0-9]"')).result.exitCode).toBe(0);
  });

  it('runs steps side by side', async () => {
    const started = Array.from({ length: 8 }, (_, i) => fixture.run(`sleep 0.2; echo ${i}`));
    const outcomes = await Promise.all(started);
    expect(outcomes.map(({ stdout }) => stdout)).toEqual(Array.from({ length: 8 }, (_, i) => `${i}\n`));
  });
});
