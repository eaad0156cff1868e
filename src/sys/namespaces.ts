/** Namespaces and the process attributes that go with them; for the executor, which is the only one to use them. */
import { checked, cPath, libcFunction, syscallFunction } from './libc.ts';

const rawUnshare = libcFunction('unshare', ['int']);
const rawSetns = libcFunction('setns', ['int', 'int']);
const rawPrctl = libcFunction('prctl', ['int', 'ulong', 'ulong', 'ulong', 'ulong']);
const rawSethostname = libcFunction('sethostname', ['const char *', 'size_t']);
const rawPivotRoot = syscallFunction('pivot_root', ['const char *', 'const char *']);

/** linux/sched.h */
const NAMESPACES = {
  mount: 0x00020000,
  cgroup: 0x02000000,
  uts: 0x04000000,
  ipc: 0x08000000,
  user: 0x10000000,
  pid: 0x20000000,
  network: 0x40000000,
} as const;

export type NamespaceKind = keyof typeof NAMESPACES;

/**
 * Leaves the shared namespaces for new ones. Acts on the calling thread (`pid`: on its future children); a process with
 * threads cannot enter a user namespace, so that one is entered by starting a child in it.
 */
export function unshare(kinds: readonly NamespaceKind[]): void {
  checked(rawUnshare(kinds.reduce((flags, kind) => flags | NAMESPACES[kind], 0)), `unshare ${kinds.join(' ')}`);
}

/** Enters the namespace of an open `/proc/<pid>/ns/*`. */
export function setns(fd: number, kind: NamespaceKind): void {
  checked(rawSetns(fd, NAMESPACES[kind]), `setns ${kind}`);
}

/** Makes `newRoot` (a mount point) the root; the old one is mounted at `putOld` below it, `.` and `.` stack them. */
export function pivotRoot(newRoot: string, putOld: string): void {
  checked(rawPivotRoot(cPath(newRoot), cPath(putOld)), 'pivot_root', newRoot);
}

export function setHostname(name: string): void {
  checked(rawSethostname(cPath(name), Buffer.byteLength(name)), 'sethostname', name);
}

const PR_SET_PDEATHSIG = 1;
const PR_SET_CHILD_SUBREAPER = 36;
const PR_SET_NO_NEW_PRIVS = 38;

/**
 * The signal (number) that this process gets when the *thread* that started it ends; 0 = none. Check the parent after
 * setting it: it may have ended before.
 */
export function setParentDeathSignal(signal: number): void {
  checked(rawPrctl(PR_SET_PDEATHSIG, signal, 0, 0, 0), 'prctl PDEATHSIG');
}

/** Orphans among our descendants become our children. */
export function becomeSubreaper(): void {
  checked(rawPrctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0), 'prctl CHILD_SUBREAPER');
}

/** No execve of this process or its descendants gains privileges any more. */
export function forbidNewPrivileges(): void {
  checked(rawPrctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 'prctl NO_NEW_PRIVS');
}
