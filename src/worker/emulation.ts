/**
 * Programs of other machines: the kernel runs them where somebody registered an emulator (binfmt_misc, Documentation/
 * admin-guide/binfmt-misc.rst). The emulator must be held open by the kernel (flag F), as a step's root does not have it.
 */
import { readFileSync, readdirSync } from 'node:fs';
import { BuildError } from '../contracts/index.ts';
import type { FileTree, Snapshot } from '../contracts/index.ts';
import { platformToString } from '../image/platform.ts';
import type { Platform } from '../llb/index.ts';
import { installHint } from './host.ts';
import { resolvePath, treePath } from './ops/path.ts';
import { readStart } from './read-start.ts';

/** Where the kernel's table is, when it is mounted. */
const TABLE = '/proc/sys/fs/binfmt_misc';
/** As much of a program as the kernel looks at (BINPRM_BUF_SIZE). */
const HEADER = 256;
/** Scripts whose interpreter is a script (the kernel's own bound is 5). */
const MAX_SCRIPTS = 5;

/** `e_machine` of ELF headers, by OCI architecture (elf.h). */
const MACHINES: Readonly<Record<string, number>> = {
  '386': 3,
  mips: 8,
  mipsle: 8,
  mips64: 8,
  mips64le: 8,
  ppc64: 21,
  ppc64le: 21,
  s390x: 22,
  arm: 40,
  amd64: 62,
  arm64: 183,
  riscv64: 243,
  loong64: 258,
};
/** What a machine's processors run besides, if its kernel lets them. */
const ALSO: Readonly<Record<string, string>> = { amd64: '386', arm64: 'arm' };
const HOST = { x64: 'amd64', ia32: '386' }[process.arch as string] ?? process.arch;

export interface Handler {
  readonly name: string;
  readonly interpreter: string;
  /** The kernel holds the interpreter open. */
  readonly isFixed: boolean;
  handles(header: Uint8Array): boolean;
}

/** Enabled handlers; undefined where the kernel has none, or its table is not mounted here. */
export function readHandlers(table = TABLE): readonly Handler[] | undefined {
  try {
    if (readFileSync(`${table}/status`, 'utf8').trim() !== 'enabled') return [];
    return readdirSync(table)
      .filter((name) => name !== 'status' && name !== 'register')
      .flatMap((name) => parseHandler(name, readFileSync(`${table}/${name}`, 'utf8')) ?? []);
  } catch {
    return undefined;
  }
}

export function parseHandler(name: string, text: string): Handler | undefined {
  const field = (key: string): string => new RegExp(`^${key}:? (.*)$`, 'm').exec(text)?.[1] ?? '';
  if (!/^enabled$/m.test(text) || field('magic') === '') return undefined;
  const magic = Buffer.from(field('magic'), 'hex');
  const mask = field('mask') === '' ? Buffer.alloc(magic.length, 0xff) : Buffer.from(field('mask'), 'hex');
  const offset = Number(field('offset'));
  return {
    name,
    interpreter: field('interpreter'),
    isFixed: field('flags').includes('F'),
    handles: (header) =>
      header.length >= offset + magic.length &&
      magic.every((byte, i) => (((header[offset + i] ?? 0) ^ byte) & (mask[i] ?? 0xff)) === 0),
  };
}

/** True for a platform whose programs this kernel may not know how to run. */
export function isForeign(platform: Platform | undefined): platform is Platform {
  return platform !== undefined && (platform.os !== 'linux' || platform.architecture !== HOST);
}

export interface Started {
  readonly args: readonly string[];
  /** `NAME=value`. */
  readonly env: readonly string[];
  readonly cwd: string;
}

/**
 * Refuses a step of another platform that nothing here can run; one of this machine's is left alone. What counts is the
 * program, not what the platform is called: images often hold programs of another machine than they say.
 *
 * @throws BuildError `host`
 */
export async function requireRunnable(
  started: Started,
  platform: Platform,
  root: Snapshot,
  handlers: () => readonly Handler[] | undefined = readHandlers,
): Promise<void> {
  if (!isForeign(platform)) return;
  if (platform.os !== 'linux') {
    throw new BuildError({
      code: 'host',
      message: `a step for ${platformToString(platform)} cannot run on ${hostName()}`,
      hint: 'build its files in a stage FROM --platform=$BUILDPLATFORM, and COPY them',
    });
  }
  const header = await programHeader(started, root.files);
  if (header === undefined || !isElf(header) || isNative(header)) return;
  const table = handlers();
  // Whether the kernel knows the program shows when it runs.
  if (table === undefined) return;
  const found = table.filter((handler) => handler.handles(header));
  for (const { isFixed, interpreter } of found) {
    if (isFixed || (await resolvePath(root.files, interpreter)).entry?.type === 'file') return;
  }
  throw noEmulator(platform, found[0]);
}

/** Says how to get an emulator, and how to need none. */
export function noEmulator(platform: Platform, unfixed?: Handler): BuildError {
  const name = platformToString(platform);
  const install = [
    installHint({
      debian: 'qemu-user-static binfmt-support',
      fedora: 'qemu-user-static',
      alpine: 'qemu-openrc qemu-' + (QEMU[platform.architecture] ?? platform.architecture),
      other: 'qemu-user-static-binfmt',
    }),
    `docker run --privileged --rm tonistiigi/binfmt --install ${platform.architecture}`,
  ].join('; or: ');
  return new BuildError({
    code: 'host',
    message:
      unfixed === undefined
        ? `a step for ${name} cannot run on ${hostName()}: no emulator is registered for its programs`
        : `a step for ${name} cannot run: its emulator ${unfixed.interpreter} is registered without the flag F, so that no container has it`,
    hint: `${install}. Without emulation, and faster: build in a stage FROM --platform=$BUILDPLATFORM, cross-compile for $TARGETARCH, and COPY --from it`,
  });
}

const QEMU: Readonly<Record<string, string>> = {
  arm64: 'aarch64',
  amd64: 'x86_64',
  '386': 'i386',
  loong64: 'loongarch64',
};

function hostName(): string {
  return `linux/${HOST}`;
}

/** The first bytes of what the kernel is given to run; undefined when it is not to be found in the root. */
async function programHeader({ args, env, cwd }: Started, files: FileTree): Promise<Uint8Array | undefined> {
  let [program] = args;
  for (let scripts = 0; program !== undefined && scripts <= MAX_SCRIPTS; scripts++) {
    const path = await findProgram(program, env, cwd, files);
    const header = path === undefined ? undefined : await readStart(files, path, HEADER);
    if (header === undefined || header[0] !== 0x23 || header[1] !== 0x21) return header;
    // `#!/bin/sh -e`
    [program] = /[^ \t]+/.exec(Buffer.from(header).toString('latin1').slice(2).split('\n')[0] ?? '') ?? [];
  }
  return undefined;
}

async function findProgram(
  program: string,
  env: readonly string[],
  cwd: string,
  files: FileTree,
): Promise<string | undefined> {
  const path = env.findLast((entry) => entry.startsWith('PATH='))?.slice('PATH='.length) ?? '';
  const candidates = program.includes('/')
    ? [program.startsWith('/') ? program : `${cwd}/${program}`]
    : path.split(':').map((directory) => `${directory === '' ? cwd : directory}/${program}`);
  for (const candidate of candidates) {
    const { path: found, entry } = await resolvePath(files, treePath(candidate));
    if (entry?.type === 'file' && (entry.mode & 0o111) !== 0) return found;
  }
  return undefined;
}

function isElf(header: Uint8Array): boolean {
  return Buffer.from(header.subarray(0, 4)).equals(Buffer.from('\x7fELF', 'latin1'));
}

function isNative(header: Uint8Array): boolean {
  const view = Buffer.from(header);
  if (view.length < 20) return false;
  const machine = view[5] === 2 ? view.readUInt16BE(18) : view.readUInt16LE(18);
  return [HOST, ALSO[HOST] ?? HOST].some((architecture) => MACHINES[architecture] === machine);
}
