import { describe, expect, it } from 'vitest';
import { hostsText, resolvText } from './environment.ts';
import { defaultSeccompProfile } from './seccomp.ts';
import { ociSpec, type SpecInput } from './spec.ts';
import { resolveUser, withHome } from './user.ts';

const input: SpecInput = {
  request: { args: ['x'], env: [], cwd: '', network: 'sandbox', security: 'sandbox' },
  user: { uid: 0, gid: 0, additionalGids: [0] },
  rootfs: '/r',
  mounts: [],
  terminal: false,
  seccomp: undefined,
  guarded: true,
  nodevHook: undefined,
  hardLimits: new Map([['RLIMIT_NOFILE', 1000]]),
  allCapabilities: ['CAP_SYS_ADMIN'],
};
interface Spec {
  readonly process: {
    readonly cwd: string;
    readonly rlimits: readonly unknown[];
    readonly capabilities: { readonly bounding: readonly string[] };
  };
  readonly mounts: readonly {
    readonly destination: string;
    readonly source: string;
    readonly options: readonly string[];
  }[];
  readonly linux: {
    readonly namespaces: readonly { readonly type: string }[];
    readonly maskedPaths?: readonly string[];
    readonly devices?: readonly { readonly path: string }[];
  };
  readonly hooks?: unknown;
}
const spec = (more: Partial<SpecInput>): Spec => ociSpec({ ...input, ...more }) as unknown as Spec;

describe('the runtime configuration', () => {
  it('shares the network unless there should be none', () => {
    const types = (network: 'sandbox' | 'host' | 'none'): readonly string[] =>
      spec({ request: { ...input.request, network } }).linux.namespaces.map(({ type }) => type);
    expect(types('sandbox')).toEqual(['pid', 'ipc', 'uts', 'mount']);
    expect(types('host')).toEqual(types('sandbox'));
    expect(types('none')).toContain('network');
  });

  it('clamps limits to our own; -1 is as much as there is', () => {
    const ulimits = [
      { name: 'nofile', soft: 10, hard: 5000 },
      { name: 'nproc', soft: -1, hard: -1 },
    ];
    expect(spec({ request: { ...input.request, ulimits } }).process.rlimits).toEqual([
      { type: 'RLIMIT_NOFILE', soft: 10, hard: 1000 },
      { type: 'RLIMIT_NPROC', soft: Number.MAX_SAFE_INTEGER, hard: Number.MAX_SAFE_INTEGER },
    ]);
  });

  it('replaces a mount of the system by one of the step with the same destination', () => {
    const own = { destination: '/dev/shm', type: 'tmpfs', source: 'own', options: [] };
    const mounts = spec({ mounts: [own] }).mounts.filter(({ destination }) => destination === '/dev/shm');
    expect(mounts).toEqual([own]);
  });

  it('keeps devices shut by mounts and a hook where no cgroup does', () => {
    const shut = spec({ guarded: false, nodevHook: '/bin/mount' });
    expect(shut.mounts.find(({ destination }) => destination === '/dev')?.options).toContain('nodev');
    expect(shut.mounts.filter(({ source }) => source.startsWith('/dev/'))).toHaveLength(6);
    expect(shut.hooks).toMatchObject({ createContainer: [{ path: '/bin/sh' }] });
  });

  it('holds nothing back from an insecure step', () => {
    const free = spec({ request: { ...input.request, security: 'insecure' }, guarded: false, nodevHook: '/bin/mount' });
    const all = ['CAP_SYS_ADMIN'];
    const capabilities = { bounding: all, effective: all, permitted: all, inheritable: all, ambient: all };
    expect(free.process.capabilities).toEqual(capabilities);
    expect(free.linux.maskedPaths).toBeUndefined();
    expect(free.hooks).toBeUndefined();
    const options = (path: string) => free.mounts.find(({ destination }) => destination === path)?.options;
    expect(options('/sys')).toContain('rw');
    expect(options('/sys/fs/cgroup')).toContain('rw');
    expect(options('/dev')).not.toContain('nodev');
    // Nodes want the right to make them.
    expect(free.linux.devices).toBeUndefined();
    const request = { ...input.request, security: 'insecure' as const };
    const nodes = spec({ request, allCapabilities: ['CAP_MKNOD'] }).linux.devices?.map(({ path }) => path);
    expect(nodes).toEqual(expect.arrayContaining(['/dev/fuse', '/dev/kvm', '/dev/net/tun', '/dev/loop0']));
  });

  it('has a profile for each architecture that Node runs on', () => {
    for (const arch of ['x64', 'arm64', 'arm', 'ppc64', 'riscv64', 's390x']) {
      const allowed = defaultSeccompProfile(arch)?.syscalls[0]?.names ?? [];
      expect(new Set(allowed).size).toBe(allowed.length);
      expect(allowed).toContain('openat2');
      for (const denied of ['mount', 'bpf', 'keyctl', 'add_key', 'unshare', 'setns', 'kexec_load', 'io_uring_setup']) {
        expect(allowed).not.toContain(denied);
      }
    }
    expect(defaultSeccompProfile('mips')).toBeUndefined();
  });
});

describe('users', () => {
  const files = {
    passwd: () => 'root:x:0:0::/:\n# comment\nbad\napp:x:1000:1001::/:\nnum:x:7:8::/:\n',
    group: () => 'root:x:0:\napps:x:1001:\nmore:x:50:other,app\n9:x:90:\n',
  };
  it.each([
    ['', 0, 0, [0]],
    ['0:0', 0, 0, [0]],
    ['app', 1000, 1001, [1001, 50]],
    ['7', 7, 8, [8]],
    ['12345', 12345, 0, [0]],
    ['app:root', 1000, 0, [0]],
    ['app:55', 1000, 55, [55]],
    ['5:apps', 5, 1001, [1001]],
    ['app:9', 1000, 9, [9]],
  ])('%j', (user, uid, gid, additionalGids) => {
    expect(resolveUser(user, files)).toEqual({ uid, gid, additionalGids });
  });

  it.each([
    ['ghost', /unable to find user ghost/],
    ['app:ghosts', /unable to find group ghosts/],
    ['3000000000', /in range/],
    ['1:3000000000', /in range/],
  ])('%j is an error', (user, message) => {
    expect(() => resolveUser(user, files)).toThrow(message);
  });

  it.each([
    [['A=1'], 1000, ['A=1']],
    [['A=1'], 99, ['A=1', 'HOME=/']],
    [['HOME=/h'], 99, ['HOME=/h']],
  ])('%j of user %i become %j', (env, uid, expected) => {
    expect(withHome(env, uid, files)).toEqual(expected);
  });

  it('root needs no files', () => {
    const none = { passwd: () => undefined, group: () => undefined };
    expect(resolveUser('', none)).toEqual({ uid: 0, gid: 0, additionalGids: [0] });
    expect(() => resolveUser('app', none)).toThrow(/unable to find user app/);
  });
});

describe('files for the network', () => {
  it.each([
    ['nameserver 127.0.0.53\nsearch x\n', 'nameserver 127.0.0.53\nsearch x\n'],
    ['search x\n', 'search x\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    [undefined, 'nameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
    ['# nameserver 1.1.1.1\n', '# nameserver 1.1.1.1\nnameserver 8.8.8.8\nnameserver 8.8.4.4\n'],
  ])('%j', (host, expected) => {
    expect(resolvText(host)).toBe(expected);
  });

  it('hosts ends in a newline', () => {
    expect(hostsText('h', [{ host: 'a', ip: '1.2.3.4' }])).toBe(
      '127.0.0.1\tlocalhost h\n::1\tlocalhost ip6-localhost ip6-loopback\n1.2.3.4\ta\n',
    );
  });
});
