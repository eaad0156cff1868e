/** bpf(2), as far as the device guard of cgroup v2 needs it (linux/bpf.h). */
import { BuildError } from '../contracts/index.ts';
import { checked, libcFunction } from './libc.ts';
import { addressOf } from './memory.ts';

const rawBpf = libcFunction('syscall', ['long', 'int', 'void *', 'uint'], 'long');
const NUMBERS: Readonly<Record<string, number | undefined>> = { x64: 321, arm64: 280 };

const BPF_PROG_LOAD = 5;
const BPF_PROG_ATTACH = 8;
const BPF_PROG_TYPE_CGROUP_DEVICE = 15;
const BPF_CGROUP_DEVICE = 6;
/** The first members of `union bpf_attr`, which is all that either command reads. */
const ATTR_SIZE = 48;

/** One instruction: opcode, registers, jump offset, immediate. */
export interface BpfInstruction {
  readonly code: number;
  readonly dst?: number;
  readonly src?: number;
  readonly off?: number;
  readonly imm?: number;
}

function bpf(command: number, attr: Uint8Array, what: string): number {
  const number = NUMBERS[process.arch];
  if (number === undefined) {
    throw new BuildError({ code: 'unsupported', message: `processor architecture ${process.arch} is not supported` });
  }
  return checked(rawBpf(number, command, attr, attr.length), what);
}

export function encodeBpf(program: readonly BpfInstruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * 8);
  const view = new DataView(bytes.buffer);
  for (const [index, { code, dst = 0, src = 0, off = 0, imm = 0 }] of program.entries()) {
    const at = index * 8;
    view.setUint8(at, code);
    view.setUint8(at + 1, (src << 4) | dst);
    view.setInt16(at + 2, off, true);
    view.setInt32(at + 4, imm, true);
  }
  return bytes;
}

/** Loads a program that decides on device access. @returns A descriptor. */
export function loadDeviceProgram(program: readonly BpfInstruction[]): number {
  const instructions = encodeBpf(program);
  const license = Buffer.from('Apache-2.0\0');
  const attr = new Uint8Array(ATTR_SIZE);
  const view = new DataView(attr.buffer);
  view.setUint32(0, BPF_PROG_TYPE_CGROUP_DEVICE, true);
  view.setUint32(4, program.length, true);
  view.setBigUint64(8, addressOf(instructions), true);
  view.setBigUint64(16, addressOf(license), true);
  return bpf(BPF_PROG_LOAD, attr, 'bpf PROG_LOAD');
}

/** Attaches it to a cgroup in the place of the one before; programs of the cgroups above have their say as well. */
export function attachDeviceProgram(cgroupFd: number, programFd: number): void {
  const attr = new Uint8Array(ATTR_SIZE);
  const view = new DataView(attr.buffer);
  view.setUint32(0, cgroupFd, true);
  view.setUint32(4, programFd, true);
  view.setUint32(8, BPF_CGROUP_DEVICE, true);
  bpf(BPF_PROG_ATTACH, attr, 'bpf PROG_ATTACH');
}
