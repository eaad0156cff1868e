/** Programs of another machine, so small that they are written here by hand. */

/** By OCI architecture: ELF's e_machine, and instructions that write `length` bytes that follow them to fd 1, then exit(0). */
const MACHINES = {
  arm64: {
    elf: 183,
    // mov x0, 1; adr x1, +28; mov x2, length; mov x8, write; svc; mov x0, 0; mov x8, exit; svc
    code: (length: number) =>
      words(
        [
          0xd2800020,
          0x100000e1,
          0xd2800002 | (length << 5),
          0xd2800808,
          0xd4000001,
          0xd2800000,
          0xd2800ba8,
          0xd4000001,
        ].map((word) => word >>> 0),
      ),
  },
  amd64: {
    elf: 62,
    // mov eax, write; mov edi, 1; lea rsi, [rip+16]; mov edx, length; syscall; mov eax, exit; xor edi, edi; syscall
    code: (length: number) =>
      Buffer.from(
        `b801000000bf01000000488d3510000000ba${length.toString(16).padStart(2, '0')}0000000f05b83c00000031ff0f05`,
        'hex',
      ),
  },
} as const;

const words = (values: readonly number[]): Buffer => {
  const bytes = Buffer.alloc(values.length * 4);
  values.forEach((value, i) => bytes.writeUInt32LE(value, i * 4));
  return bytes;
};

const BASE = 0x400000;
const HEADERS = 64 + 56;

/** A static ELF executable that prints `text` (below 128 bytes). System V ABI: one loadable segment. */
export function foreignProgram(architecture: keyof typeof MACHINES, text: string): Buffer {
  const { elf, code } = MACHINES[architecture];
  const body = Buffer.concat([code(text.length), Buffer.from(text)]);
  const headers = Buffer.alloc(HEADERS);
  headers.write('\x7fELF\x02\x01\x01', 'latin1');
  headers.writeUInt16LE(2, 16); // e_type: executable
  headers.writeUInt16LE(elf, 18);
  headers.writeUInt32LE(1, 20); // e_version
  headers.writeBigUInt64LE(BigInt(BASE + HEADERS), 24); // e_entry
  headers.writeBigUInt64LE(64n, 32); // e_phoff
  headers.writeUInt16LE(64, 52); // e_ehsize
  headers.writeUInt16LE(56, 54); // e_phentsize
  headers.writeUInt16LE(1, 56); // e_phnum
  headers.writeUInt32LE(1, 64); // p_type: load
  headers.writeUInt32LE(5, 68); // p_flags: read, execute
  headers.writeBigUInt64LE(BigInt(BASE), 80); // p_vaddr
  headers.writeBigUInt64LE(BigInt(BASE), 88); // p_paddr
  const size = BigInt(HEADERS + body.length);
  headers.writeBigUInt64LE(size, 96); // p_filesz
  headers.writeBigUInt64LE(size, 104); // p_memsz
  headers.writeBigUInt64LE(0x10000n, 112); // p_align
  return Buffer.concat([headers, body]);
}
