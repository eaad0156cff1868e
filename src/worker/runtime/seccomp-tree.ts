/**
 * A seccomp program as a decision tree. libseccomp compares the number of a system call with one after the other of those
 * that are allowed; the kernel goes through that once for each number there is whenever a filter is installed
 * (seccomp_cache_prepare), which takes half a millisecond a step, and again at each call that is not simply allowed. The
 * tree decides the same in a dozen comparisons. Pure.
 */

/** struct sock_filter (linux/filter.h): u16 code, u8 jt, u8 jf, u32 k. */
interface Instruction {
  readonly code: number;
  readonly jt: number;
  readonly jf: number;
  readonly k: number;
}

const INSTRUCTION_SIZE = 8;
/** BPF_MAXINSNS. */
const MAX_LENGTH = 4096;

// Opcodes (linux/bpf_common.h): all that libseccomp uses.
const LOAD = 0x20;
const AND = 0x54;
const JUMP = 0x05;
const JUMP_EQUAL = 0x15;
const JUMP_GREATER = 0x25;
const JUMP_GREATER_EQUAL = 0x35;
const JUMP_SET = 0x45;
const RETURN = 0x06;

/** Offsets in struct seccomp_data; what follows are arguments. */
const NUMBER = 0;
const ARCHITECTURE = 4;

/** What the accumulator holds before an instruction; `mixed` where that depends on how it was come to. */
type Held = 'number' | 'architecture' | 'other' | 'mixed';

/** What a program comes to for an architecture and a number: an action, or the place where it looks at arguments. */
type Outcome = { readonly action: number } | { readonly goesOnAt: number };

/**
 * @param program As the kernel takes it.
 * @returns A program with the same answer to every call; undefined where there is none that is shorter, or where it does
 *   what is not understood here.
 */
export function asDecisionTree(program: Uint8Array): Buffer | undefined {
  const original = decode(program);
  const held = heldBefore(original);
  if (held === undefined) return undefined;
  const starts = (kind: Held): readonly number[] => {
    const compared = original.filter(({ code }, i) => isComparison(code) && held[i] === kind).map(({ k }) => k);
    const all = new Set([0, ...compared, ...compared.map((k) => k + 1)]);
    return [...all].filter((k) => k <= 0xffff_ffff).sort((a, b) => a - b);
  };
  const numbers = starts('number');

  /** `goesOnAt` as the `k` of a jump whose place is not known yet. */
  const endOf = (outcome: Outcome): readonly Instruction[] =>
    'action' in outcome
      ? [{ code: RETURN, jt: 0, jf: 0, k: outcome.action }]
      : [{ code: JUMP, jt: OPEN, jf: 0, k: outcome.goesOnAt }];
  const architectures = starts('architecture').map((architecture) => {
    const ranges = merged(numbers.map((start) => ({ start, leaf: endOf(outcomeOf(original, architecture, start)) })));
    const leaf = ranges.length === 1 ? (ranges[0]?.leaf ?? []) : [load(NUMBER), ...tree(ranges)];
    return { start: architecture, leaf };
  });
  const decided = [load(ARCHITECTURE), ...tree(merged(architectures))];
  const rest = reachable(
    original,
    decided.filter(({ jt, code }) => code === JUMP && jt === OPEN).map(({ k }) => k),
  );
  const linked = decided.map((one, i): Instruction => {
    if (one.code !== JUMP || one.jt !== OPEN) return one;
    return { ...one, jt: 0, k: decided.length - i - 1 + rest.indexOf(one.k) };
  });
  const result = [...linked, ...moved(original, rest)];
  return result.length < original.length && result.length <= MAX_LENGTH ? encode(result) : undefined;
}

/** Marks a jump whose `k` is a place in the original program. */
const OPEN = 1;

const load = (offset: number): Instruction => ({ code: LOAD, jt: 0, jf: 0, k: offset });

function isComparison(code: number): boolean {
  return code === JUMP_EQUAL || code === JUMP_GREATER || code === JUMP_GREATER_EQUAL;
}

/** Where an instruction leads to, by its place; nowhere after a return. */
function next({ code, jt, jf, k }: Instruction, place: number): readonly number[] {
  if (code === RETURN) return [];
  if (code === JUMP) return [place + 1 + k];
  return isComparison(code) || code === JUMP_SET ? [place + 1 + jt, place + 1 + jf] : [place + 1];
}

/** Jumps lead forward only, so one pass is enough. Undefined for a program that does what is not understood here. */
function heldBefore(program: readonly Instruction[]): readonly Held[] | undefined {
  // Nothing is to be made of it before something is loaded.
  const held: Held[] = ['mixed'];
  for (const [i, one] of program.entries()) {
    const before = held[i];
    // Never reached.
    if (before === undefined) continue;
    const { code, k } = one;
    if (!isUnderstood(code, before)) return undefined;
    let after = before;
    if (code === LOAD) after = k === NUMBER ? 'number' : k === ARCHITECTURE ? 'architecture' : 'other';
    for (const place of next(one, i)) {
      if (place >= program.length) return undefined;
      held[place] = (held[place] ?? after) === after ? after : 'mixed';
    }
  }
  return held;
}

/** Number and architecture are only compared, as ranges of them are told apart by what they are compared with. */
function isUnderstood(code: number, held: Held): boolean {
  if (code === AND || code === JUMP_SET) return held === 'other';
  if (isComparison(code)) return held !== 'mixed';
  return code === LOAD || code === JUMP || code === RETURN;
}

function outcomeOf(program: readonly Instruction[], architecture: number, number: number): Outcome {
  let value = 0;
  for (let place = 0; ;) {
    const { code, jt, jf, k } = program[place] ?? { code: RETURN, jt: 0, jf: 0, k: 0 };
    switch (code) {
      case RETURN:
        return { action: k };
      case LOAD:
        if (k !== NUMBER && k !== ARCHITECTURE) return { goesOnAt: place };
        value = k === NUMBER ? number : architecture;
        place += 1;
        break;
      case JUMP:
        place += 1 + k;
        break;
      default: {
        const holds = code === JUMP_EQUAL ? value === k : code === JUMP_GREATER ? value > k : value >= k;
        place += 1 + (holds ? jt : jf);
      }
    }
  }
}

interface Range {
  readonly start: number;
  readonly leaf: readonly Instruction[];
}

/** Neighbours with the same code become one. */
function merged(ranges: readonly Range[]): readonly Range[] {
  const text = ({ leaf }: Range): string => leaf.map(({ code, jt, jf, k }) => [code, jt, jf, k].join()).join(';');
  const texts = ranges.map(text);
  return ranges.filter((_, i) => i === 0 || texts[i] !== texts[i - 1]);
}

/** Finds the range of the accumulator's value by halves. */
function tree(ranges: readonly Range[]): readonly Instruction[] {
  const middle = ranges.length >> 1;
  const pivot = ranges[middle];
  if (pivot === undefined || middle === 0) return ranges[0]?.leaf ?? [];
  const below = tree(ranges.slice(0, middle));
  const above = tree(ranges.slice(middle));
  const compare = { code: JUMP_GREATER_EQUAL, k: pivot.start };
  // A comparison reaches 255 instructions.
  const isFar = below.length > 0xff;
  const heads: readonly Instruction[] = isFar
    ? [
        { ...compare, jt: 0, jf: 1 },
        { code: JUMP, jt: 0, jf: 0, k: below.length },
      ]
    : [{ ...compare, jt: below.length, jf: 0 }];
  return [...heads, ...below, ...above];
}

/** Places that can be come to from some, those included, in order. */
function reachable(program: readonly Instruction[], from: readonly number[]): readonly number[] {
  const found = new Set(from);
  for (const [i, one] of program.entries()) {
    if (found.has(i)) for (const place of next(one, i)) found.add(place);
  }
  return [...found].sort((a, b) => a - b);
}

/** Those instructions alone. Distances only become less, so all jumps reach. */
function moved(program: readonly Instruction[], places: readonly number[]): readonly Instruction[] {
  const at = new Map(places.map((place, i) => [place, i]));
  return places.map((place, i) => {
    const one = program[place] ?? load(NUMBER);
    const distances = next(one, place).map((target) => (at.get(target) ?? 0) - i - 1);
    const [jt = 0, jf = 0] = distances;
    if (one.code === JUMP) return { ...one, k: jt };
    return distances.length === 2 ? { ...one, jt, jf } : one;
  });
}

function decode(bytes: Uint8Array): readonly Instruction[] {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const isLittle = IS_LITTLE_ENDIAN;
  return Array.from({ length: Math.floor(bytes.length / INSTRUCTION_SIZE) }, (_, i) => {
    const at = i * INSTRUCTION_SIZE;
    return {
      code: view.getUint16(at, isLittle),
      jt: view.getUint8(at + 2),
      jf: view.getUint8(at + 3),
      k: view.getUint32(at + 4, isLittle),
    };
  });
}

function encode(program: readonly Instruction[]): Buffer {
  const bytes = Buffer.alloc(program.length * INSTRUCTION_SIZE);
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  for (const [i, { code, jt, jf, k }] of program.entries()) {
    const at = i * INSTRUCTION_SIZE;
    view.setUint16(at, code, IS_LITTLE_ENDIAN);
    view.setUint8(at + 2, jt);
    view.setUint8(at + 3, jf);
    view.setUint32(at + 4, k, IS_LITTLE_ENDIAN);
  }
  return bytes;
}

const IS_LITTLE_ENDIAN = new Uint8Array(Uint16Array.of(1).buffer)[0] === 1;
