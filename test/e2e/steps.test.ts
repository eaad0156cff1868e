/** What steps are given by the flags of a build: rights, hosts, limits; and the flags of docker that mean nothing here. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines, type TestEngine } from '../support/engines.ts';

const bench = new Bench();
let base: readonly string[] = [];
beforeAll(() => {
  base = ['--build-context', `busybox=oci-layout://${busyboxLayout(bench.dir)}`];
});
afterAll(() => bench.dispose());

let contexts = 0;

/** Builds `FROM busybox` and these lines; standard error has what steps say. */
async function buildOn(engine: TestEngine, lines: string, ...args: readonly string[]) {
  const context = bench.context(`context-${contexts++}`, { Dockerfile: `FROM busybox\n${lines}\n` });
  return await engine.build(['--no-cache', '--progress=plain', ...base, ...args, context]);
}

onBothEngines(bench, (engine) => {
  const build = async (lines: string, ...args: readonly string[]) => await buildOn(engine, lines, ...args);

  describe('RUN --security=insecure', () => {
    it('wants --allow, and says so at its line', async () => {
      const { code, stderr } = await build('RUN --security=insecure true');
      expect([code, stderr]).toEqual([2, expect.stringMatching(/Dockerfile:2[^]*security\.insecure is not allowed/)]);
      expect(stderr).toContain('--allow security.insecure');
    });

    it('has every right of this process, no filter, its devices, and can mount', async () => {
      const { code, stderr } = await build(
        `RUN --security=insecure <<EOF
set -e
grep Seccomp: /proc/self/status
for i in Inh Prm Eff Bnd Amb; do grep "Cap$i" /proc/self/status; done
mkdir /m
mount -t tmpfs x /m
test -w /proc/sys/kernel/hostname
grep ' /sys sysfs rw' /proc/mounts > /dev/null
ls /dev/fuse /dev/kvm /dev/loop0 /dev/net/tun > /dev/null
mknod /kmsg c 1 11
exec 3< /kmsg
echo all of it
EOF
USER 1000
RUN --security=insecure grep CapEff /proc/self/status | sed s/Eff/User/`,
        '--allow=security.insecure',
      );
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/Seccomp:\s+0$/m);
      expect(stderr).toContain('all of it');
      const sets = [...stderr.matchAll(/Cap(?:Inh|Prm|Eff|Bnd|Amb|User):\s+([0-9a-f]+)$/gm)].map(([, set]) => set);
      expect(sets).toHaveLength(6);
      expect(new Set(sets).size).toBe(1);
      // More than docker's default.
      expect(BigInt(`0x${sets[0] ?? '0'}`) & ~0xa80425fbn).not.toBe(0n);
    });

    it('leaves the next step as tight as ever', async () => {
      const { code, stderr } = await build(
        `RUN --security=insecure true
RUN mknod /kmsg c 1 11; ! head -c 1 /kmsg 2> /dev/null && ! mount -t tmpfs x /tmp 2> /dev/null && grep CapEff /proc/self/status`,
        '--allow=security.insecure',
      );
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(/CapEff:\s+00000000a80425fb$/m);
    });

    it('is allowed by its whole name only', async () => {
      const { code, stderr } = await build('RUN true', '--allow=security.insecur');
      expect([code, stderr]).toEqual([2, expect.stringContaining('"security.insecur"')]);
    });
  });

  describe('RUN --network=host', () => {
    it.each([
      ['without --allow', [], 2],
      ['with --allow', ['--allow=network.host'], 0],
      ['in a build of --network=host', ['--network=host'], 0],
    ] as const)('%s', async (_name, args, expected) => {
      const context = bench.context(`context-${contexts++}`, { Dockerfile: 'FROM busybox\nRUN --network=host true\n' });
      const { code, stderr } = await engine.build(['--no-cache', ...base, ...args, context], { plainNetwork: true });
      expect(code, stderr).toBe(expected);
      if (expected !== 0) expect(stderr).toContain('network.host is not allowed');
    });
  });

  describe('RUN --device', () => {
    // A daemon gives what it has: what it lacks and the step can do without is left out.
    const passes = (device: string): boolean => engine.name === 'buildkit' && !device.endsWith(',required');
    it.each(['vendor.com/x=y', 'vendor.com/x=y,required'])('=%s that nobody has', async (device) => {
      const { code, stderr } = await build(`RUN --device=${device} true`);
      if (passes(device)) expect(code, stderr).toBe(0);
      else {
        expect(code).not.toBe(0);
        expect(stderr).toMatch(/error: .*device vendor\.com\/x=y cannot be given/);
        expect(stderr).toMatch(/^hint: /m);
        if (engine.name === 'embedded') expect(stderr).toContain('Dockerfile:2');
      }
    });
  });

  describe('flags of a build reach its steps', () => {
    it.each([
      ['--add-host', ['--add-host', 'far:10.9.8.7'], 'grep far /etc/hosts', /10\.9\.8\.7\tfar$/m],
      ['--add-host with =', ['--add-host', 'far=fd00::1'], 'grep far /etc/hosts', /fd00::1\tfar$/m],
      ['--add-host host-gateway', ['--add-host', 'me:host-gateway'], 'grep -w me /etc/hosts', /127\.0\.0\.1\tme$/m],
      ['--ulimit', ['--ulimit', 'nofile=123:456'], 'ulimit -Sn; ulimit -Hn', / 123\n[^\n]* 456$/m],
      ['--ulimit of one number', ['--ulimit', 'core=0'], 'ulimit -c', / 0$/m],
      ['--shm-size', ['--shm-size', '3m'], 'df -k /dev/shm | tail -n 1', /tmpfs +3072 /],
      ['--network=none', ['--network=none'], 'grep -c : /proc/net/dev', / 1$/m],
    ] as const)('%s', async (_name, args, script, said) => {
      const { code, stderr } = await build(`RUN ${script}`, ...args);
      expect(code, stderr).toBe(0);
      expect(stderr).toMatch(said);
    });

    it.each([
      [['--add-host', 'nothing'], '--add-host'],
      [['--add-host', 'x:not-an-address'], '--add-host'],
      [['--ulimit', 'nofile'], '--ulimit'],
      [['--ulimit', 'bread=1'], '--ulimit'],
      [['--shm-size', 'much'], '--shm-size'],
      [['--network', 'bridge'], '--network'],
    ] as const)('%j is refused', async (args, named) => {
      const { code, stderr } = await build('RUN true', ...args);
      expect([code, stderr]).toEqual([2, expect.stringContaining(named)]);
    });

    it('--cgroup-parent goes to the daemon, and says that it does nothing here', async () => {
      const { code, stderr } = await build('RUN true', '--cgroup-parent=/x');
      expect(code, stderr).toBe(0);
      expect(stderr.includes('--cgroup-parent has no effect')).toBe(engine.name === 'embedded');
    });
  });

  describe('flags of docker that mean nothing here', () => {
    it.each([
      ['--compress'],
      ['--isolation=default'],
      ['--security-opt=seccomp=unconfined'],
      ['--memory=1g'],
      ['--memory-swap=1g'],
      ['--cpu-shares=2'],
      ['--cpu-period=2'],
      ['--cpu-quota=2'],
      ['--cpuset-cpus=0'],
      ['--cpuset-mems=0'],
      ['--resource=cpu=1'],
    ])('%s is taken, and said to do nothing', async (flag) => {
      const { code, stderr } = await build('LABEL a=b', flag);
      expect(code, stderr).toBe(0);
      const name = /^--[a-z-]+/.exec(flag)?.[0] ?? '';
      expect(stderr).toContain(`${name} has no effect`);
    });

    it.each([['--rm'], ['--force-rm']])('%s is so anyway: not a word of it', async (flag) => {
      const { code, stderr } = await build('LABEL a=b', flag);
      expect(code, stderr).toBe(0);
      expect(stderr).not.toContain('no effect');
    });
  });
});
