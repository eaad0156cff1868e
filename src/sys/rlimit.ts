/** Resource limits of processes (prlimit(2)), by the names that `--ulimit` uses. */
import { checked, libcFunction } from './libc.ts';

const prlimit = libcFunction('prlimit', ['int', 'int', 'void *', 'void *']);

/** asm-generic/resource.h */
const RESOURCES = {
  cpu: 0,
  fsize: 1,
  data: 2,
  stack: 3,
  core: 4,
  rss: 5,
  nproc: 6,
  nofile: 7,
  memlock: 8,
  as: 9,
  locks: 10,
  sigpending: 11,
  msgqueue: 12,
  nice: 13,
  rtprio: 14,
  rttime: 15,
} as const;

export type LimitName = keyof typeof RESOURCES;
/** Infinity = unlimited. */
export interface Limit {
  readonly soft: number;
  readonly hard: number;
}

export const LIMIT_NAMES = Object.keys(RESOURCES) as readonly LimitName[];

export function isLimitName(name: string): name is LimitName {
  return Object.hasOwn(RESOURCES, name);
}

const UNLIMITED = 2n ** 64n - 1n;

/** @param pid 0 = this process. */
export function getLimit(name: LimitName, pid = 0): Limit {
  const bytes = new Uint8Array(16);
  checked(prlimit(pid, RESOURCES[name], null, bytes), `getrlimit ${name}`);
  const view = new DataView(bytes.buffer);
  return { soft: read(view.getBigUint64(0, true)), hard: read(view.getBigUint64(8, true)) };
}

/** Raising the hard limit needs CAP_SYS_RESOURCE. */
export function setLimit(name: LimitName, limit: Limit, pid = 0): void {
  const bytes = new Uint8Array(16);
  const view = new DataView(bytes.buffer);
  view.setBigUint64(0, write(limit.soft), true);
  view.setBigUint64(8, write(limit.hard), true);
  checked(prlimit(pid, RESOURCES[name], bytes, null), `setrlimit ${name}`);
}

function read(value: bigint): number {
  return value === UNLIMITED ? Infinity : Number(value);
}

function write(value: number): bigint {
  return value === Infinity ? UNLIMITED : BigInt(value);
}
