/**
 * Which devices steps may open. Docker gives each container a device cgroup of its own; here the executor enters one, and
 * what it starts is in it too: the same rules at no cost a step, and the runtime needs no cgroups at all. Nodes of any
 * device may be made (mknod; the executor unpacks images, steps may as in Docker), but only the harmless ones opened.
 */
import { closeSync, constants, mkdirSync, openSync, readFileSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { attachDeviceProgram, loadDeviceProgram, type BpfInstruction } from '../../sys/bpf.ts';
import { tryFlock } from '../../sys/flock.ts';
import { MNT_DETACH, MS_NODEV, MS_NOEXEC, MS_NOSUID, mount, umount } from '../../sys/mount.ts';

/** null, zero, full, random, urandom; tty, ptmx; pseudo terminals (`*`); tun, as runc. All are character devices. */
const ALLOWED: readonly (readonly [major: number, minor: number | '*'])[] = [
  [1, 3],
  [1, 5],
  [1, 7],
  [1, 8],
  [1, 9],
  [5, 0],
  [5, 2],
  [136, '*'],
  [10, 200],
];

/** For the devices controller of cgroup v1, in the order in which it lists them. */
const RULES = ['c *:* m', 'b *:* m', ...ALLOWED.map(([major, minor]) => `c ${major}:${minor} rwm`)];

/** One for all executors of this machine below the cgroup that they were started in: the rules are the same. */
const GROUP = 'slipway';

/**
 * To be called on the thread that starts the steps.
 *
 * @param directory A directory of our own to mount the hierarchy on meanwhile.
 * @returns False where this machine has no device cgroups that we can use.
 */
export async function guardDevices(directory: string): Promise<boolean> {
  const groups = readGroups();
  const v1 = groups.find(({ controllers }) => controllers.includes('devices'));
  const v2 = groups.find(({ controllers }) => controllers.length === 0);
  try {
    if (v1 !== undefined) {
      guardByV1(directory, v1.path);
      return true;
    }
  } catch {
    // Perhaps by the other way.
  }
  try {
    if (v2 !== undefined) {
      await guardByV2(directory, v2.path);
      return true;
    }
  } catch {
    // By mounts then.
  }
  return false;
}

interface Membership {
  /** Empty for cgroup v2. */
  readonly controllers: readonly string[];
  readonly path: string;
}

function readGroups(): readonly Membership[] {
  return readFileSync('/proc/self/cgroup', 'utf8')
    .split('\n')
    .flatMap((line) => {
      const [, controllers, path] = /^\d+:([^:]*):(.*)$/.exec(line) ?? [];
      if (controllers === undefined || path === undefined) return [];
      return [{ controllers: controllers === '' ? [] : controllers.split(','), path }];
    });
}

/**
 * The way out of the guard, for a step that may do all (`security.insecure`): a process that writes `0` to this file is
 * where the executor was started, and opens what that could open.
 *
 * @param directory As for {@link guardDevices}, which has ended. The hierarchy stays mounted there.
 * @returns Undefined where there is no guard to leave.
 */
export function wayOut(directory: string): string | undefined {
  const groups = readGroups();
  const v1 = groups.find(({ controllers }) => controllers.includes('devices'));
  const group = v1 ?? groups.find(({ controllers }) => controllers.length === 0);
  if (group === undefined) return undefined;
  if (v1 === undefined) mountHierarchy(directory, 'cgroup2');
  else mountHierarchy(directory, 'cgroup', 'devices');
  const inside = `/${GROUP}`;
  const path = group.path.endsWith(inside) ? group.path.slice(0, -inside.length) : group.path;
  return `${directory}${path === '/' ? '' : path}/cgroup.procs`;
}

/** The hierarchy, mounted by ourselves: what is at /sys/fs/cgroup may be read-only, or missing. */
function mountHierarchy(directory: string, type: string, data?: string): void {
  mount({ source: 'slipway', target: directory, type, flags: MS_NOSUID | MS_NODEV | MS_NOEXEC, data });
}

function guardByV1(directory: string, path: string): void {
  mountHierarchy(directory, 'cgroup', 'devices');
  try {
    const group = groupBelow(directory, path);
    const lock = openSync(group, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      while (!tryFlock(lock)) pause();
      // Others are in the group already: only a new one may be without rules for a moment.
      const list = readFileSync(`${group}/devices.list`, 'utf8');
      if (list.trimEnd() !== RULES.join('\n')) {
        writeFileSync(`${group}/devices.deny`, 'a');
        for (const rule of RULES) writeFileSync(`${group}/devices.allow`, rule);
      }
      // This thread only, which is the one that starts steps: moving all of a process waits 10 ms for the kernel.
      writeFileSync(`${group}/tasks`, '0');
    } finally {
      closeSync(lock);
    }
  } finally {
    umount(directory, MNT_DETACH);
  }
}

/** A millisecond, without an event loop: nothing else goes on yet. */
function pause(): void {
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 1);
}

async function guardByV2(directory: string, path: string): Promise<void> {
  mountHierarchy(directory, 'cgroup2');
  try {
    const group = groupBelow(directory, path);
    const fd = openSync(group, constants.O_RDONLY | constants.O_DIRECTORY);
    try {
      const program = loadDeviceProgram(deviceProgram());
      try {
        attachDeviceProgram(fd, program);
      } finally {
        closeSync(program);
      }
    } finally {
      closeSync(fd);
    }
    // There is no moving of one thread here; the 10 ms pass while modules load and requests are read.
    await writeFile(`${group}/cgroup.procs`, String(process.pid));
  } finally {
    umount(directory, MNT_DETACH);
  }
}

function groupBelow(directory: string, path: string): string {
  const own = path.endsWith(`/${GROUP}`) ? path : `${path === '/' ? '' : path}/${GROUP}`;
  const group = `${directory}${own}`;
  mkdirSync(group, { recursive: true });
  return group;
}

// eBPF opcodes (linux/bpf.h, linux/bpf_common.h).
const LOAD_WORD = 0x61;
const MOVE_REGISTER = 0xbf;
const AND = 0x57;
const SHIFT_RIGHT = 0x77;
const MOVE = 0xb7;
const JUMP_EQUAL = 0x15;
const JUMP_NOT_EQUAL = 0x55;
const EXIT = 0x95;
/** struct bpf_cgroup_dev_ctx: access << 16 | type, major, minor. */
const [ACCESS, MAJOR, MINOR] = [0, 4, 8];
const MKNOD = 1;
const CHARACTER = 2;

/** The same rules as a program: r0 = 1 allows. */
export function deviceProgram(): readonly BpfInstruction[] {
  const allow = [{ code: MOVE, dst: 0, imm: 1 }, { code: EXIT }];
  return [
    { code: LOAD_WORD, dst: 2, src: 1, off: ACCESS },
    { code: LOAD_WORD, dst: 4, src: 1, off: MAJOR },
    { code: LOAD_WORD, dst: 5, src: 1, off: MINOR },
    { code: MOVE_REGISTER, dst: 3, src: 2 },
    { code: AND, dst: 2, imm: 0xffff },
    { code: SHIFT_RIGHT, dst: 3, imm: 16 },
    { code: JUMP_NOT_EQUAL, dst: 3, off: allow.length, imm: MKNOD },
    ...allow,
    { code: JUMP_EQUAL, dst: 2, off: 2, imm: CHARACTER },
    { code: MOVE, dst: 0, imm: 0 },
    { code: EXIT },
    ...ALLOWED.flatMap(([major, minor]): readonly BpfInstruction[] =>
      minor === '*'
        ? [{ code: JUMP_NOT_EQUAL, dst: 4, off: allow.length, imm: major }, ...allow]
        : [
            { code: JUMP_NOT_EQUAL, dst: 4, off: allow.length + 1, imm: major },
            { code: JUMP_NOT_EQUAL, dst: 5, off: allow.length, imm: minor },
            ...allow,
          ],
    ),
    { code: MOVE, dst: 0, imm: 0 },
    { code: EXIT },
  ];
}
