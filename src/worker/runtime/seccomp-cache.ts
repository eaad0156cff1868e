/**
 * The compiled seccomp profile, kept between builds: compiling it takes crun longer than all the rest of a step. It is good
 * as long as the profile, the kernel and the files that it was compiled with (crun, libseccomp and whatever else was
 * mapped then) are what they were.
 */
import { closeSync, fsyncSync, mkdirSync, openSync, readFileSync, renameSync, statSync, writeSync } from 'node:fs';
import { release } from 'node:os';
import { dirname } from 'node:path';
import { asDecisionTree } from './seccomp-tree.ts';
import type { SeccompProfile } from './seccomp.ts';

/** What was compiled. */
export interface CompiledSeccomp {
  /** The program as the kernel takes it. */
  readonly program: Buffer;
  /** Absolute paths of the files that made it. */
  readonly files: readonly string[];
}

interface Kept {
  readonly version: number;
  /** JSON. */
  readonly profile: string;
  readonly kernel: string;
  readonly files: readonly (readonly [path: string, identity: string])[];
  /** Base64. */
  readonly bpf: string;
}

/** Raised when an older file must not be used any more. */
const VERSION = 1;

/** @returns The program in base64, or undefined when there is none for this profile on this machine as it is now. */
export function readCompiled(path: string, profile: SeccompProfile): string | undefined {
  try {
    const kept = JSON.parse(readFileSync(path, 'utf8')) as Kept;
    const isSame = kept.version === VERSION && kept.profile === JSON.stringify(profile) && kept.kernel === release();
    return isSame && kept.files.every(([file, identity]) => identityOf(file) === identity) ? kept.bpf : undefined;
  } catch {
    return undefined;
  }
}

/**
 * Keeps it for later builds where that is possible.
 *
 * @returns The program in base64, in its best form.
 */
export function keepCompiled(path: string, profile: SeccompProfile, { program, files }: CompiledSeccomp): string {
  const bpf = (asDecisionTree(program) ?? program).toString('base64');
  try {
    const kept: Kept = {
      version: VERSION,
      profile: JSON.stringify(profile),
      kernel: release(),
      files: files.map((file) => [file, identityOf(file)]),
      bpf,
    };
    if (files.length > 0) writeWhole(path, JSON.stringify(kept));
  } catch {
    // Compiled again the next time.
  }
  return bpf;
}

function identityOf(file: string): string {
  const { size, mtimeMs, ctimeMs } = statSync(file);
  return `${size} ${mtimeMs} ${ctimeMs}`;
}

/** On disk before it has its name: a program that is cut short would let the rest of it through. */
function writeWhole(path: string, text: string): void {
  mkdirSync(dirname(path), { recursive: true, mode: 0o700 });
  const draft = `${path}.${process.pid}.new`;
  const fd = openSync(draft, 'w', 0o600);
  try {
    for (let rest = Buffer.from(text); rest.length > 0;) rest = rest.subarray(writeSync(fd, rest));
    fsyncSync(fd);
  } finally {
    closeSync(fd);
  }
  renameSync(draft, path);
}
