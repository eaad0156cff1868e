import { describe, expect, it } from 'vitest';
import { asDecisionTree } from './seccomp-tree.ts';

type Line = readonly [code: number, jt: number, jf: number, k: number];
const X86_64 = 0xc000_003e;
const I386 = 0x4000_0003;
const [ALLOW, EPERM, ENOSYS, KILL] = [0x7fff_0000, 0x5_0001, 0x5_0026, 0];
const [LOAD, AND, JUMP, EQUAL, GREATER, GREATER_EQUAL, SET, RETURN] = [
  0x20, 0x54, 0x05, 0x15, 0x25, 0x35, 0x45, 0x06,
] as const;
const NUMBER = 0;
const ARCHITECTURE = 4;
const ARGUMENT = 16;

function encode(lines: readonly Line[]): Buffer {
  const bytes = Buffer.alloc(lines.length * 8);
  for (const [i, [code, jt, jf, k]] of lines.entries()) {
    bytes.writeUInt16LE(code, i * 8);
    bytes.writeUInt8(jt, i * 8 + 2);
    bytes.writeUInt8(jf, i * 8 + 3);
    bytes.writeUInt32LE(k, i * 8 + 4);
  }
  return bytes;
}

interface Call {
  readonly architecture: number;
  readonly number: number;
  readonly argument: number;
}

/** As the kernel runs it. @returns The action and how many instructions it took. */
function run(program: Buffer, { architecture, number, argument }: Call): { action: number; steps: number } {
  let value = 0;
  for (let place = 0, steps = 1; place < program.length / 8; steps++) {
    const at = place * 8;
    const [code, jt, jf, k] = [
      program.readUInt16LE(at),
      program.readUInt8(at + 2),
      program.readUInt8(at + 3),
      program.readUInt32LE(at + 4),
    ];
    place += 1;
    if (code === RETURN) return { action: k, steps };
    if (code === JUMP) place += k;
    else if (code === LOAD) value = k === NUMBER ? number : k === ARCHITECTURE ? architecture : argument;
    else if (code === AND) value = (value & k) >>> 0;
    else {
      const holds =
        code === EQUAL
          ? value === k
          : code === GREATER
            ? value > k
            : code === SET
              ? (value & k) !== 0
              : code === GREATER_EQUAL && value >= k;
      place += holds ? jt : jf;
    }
  }
  throw new Error('ran off the end');
}

/** Like libseccomp's: architectures, a chain of comparisons, shared ends, rules on arguments. */
function chain(allowed: readonly number[]): readonly Line[] {
  const numbers = [...allowed, 56, 41];
  const lines: Line[] = [
    [LOAD, 0, 0, ARCHITECTURE],
    [EQUAL, 1, 0, X86_64],
    [JUMP, 0, 0, numbers.length + 10],
    [LOAD, 0, 0, NUMBER],
  ];
  const first = lines.length;
  const end = first + numbers.length;
  for (const [i, number] of allowed.entries()) lines.push([EQUAL, end - (first + i) - 1 + 8, 0, number]);
  // clone: a masked argument; socket: an argument; what is left fails.
  lines.push([EQUAL, 3, 0, 56], [EQUAL, 5, 0, 41], [RETURN, 0, 0, EPERM], [RETURN, 0, 0, ENOSYS]);
  lines.push([LOAD, 0, 0, ARGUMENT], [AND, 0, 0, 0x7e02_0000], [EQUAL, 3, 2, 0]);
  lines.push([LOAD, 0, 0, ARGUMENT], [EQUAL, 0, 1, 40], [RETURN, 0, 0, ENOSYS], [RETURN, 0, 0, ALLOW]);
  // Another architecture.
  lines.push([LOAD, 0, 0, ARCHITECTURE], [EQUAL, 0, 3, I386], [LOAD, 0, 0, NUMBER]);
  lines.push([GREATER, 0, 2, 300], [RETURN, 0, 0, ENOSYS], [RETURN, 0, 0, KILL], [RETURN, 0, 0, ALLOW]);
  return lines;
}

const programs: readonly (readonly [string, Buffer])[] = [
  ['many numbers', encode(chain(Array.from({ length: 150 }, (_, i) => i + (i % 7))))],
  ['numbers with gaps', encode(chain(Array.from({ length: 200 }, (_, i) => i + Math.floor(i / 5))))],
  ['one architecture after the other', encode(chain(Array.from({ length: 100 }, (_, i) => 400 - i)))],
];

function* calls(): Generator<Call> {
  const argumentsOf = [0, 1, 40, 41, 0x2_0000, 0x7e02_0000, 0xffff_ffff];
  for (const architecture of [X86_64, I386, 0, X86_64 - 1, X86_64 + 1, 0xffff_ffff]) {
    for (let number = 0; number < 700; number++) {
      for (const argument of argumentsOf) yield { architecture, number, argument };
    }
    for (const number of [0x4000_0000, 0x4000_0001, 0xffff_ffff, 0x8000_0000]) {
      for (const argument of argumentsOf) yield { architecture, number, argument };
    }
  }
}

describe.each(programs)('%s', (_, program) => {
  it('decides as before, in few steps', () => {
    const result = asDecisionTree(program);
    if (result === undefined) throw new Error('no tree');
    expect(result.length).toBeLessThan(program.length);
    let steps = 0;
    const actions = new Set<number>();
    for (const call of calls()) {
      const [before, after] = [run(program, call), run(result, call)];
      if (after.action !== before.action) expect({ ...call, ...after }).toEqual({ ...call, ...before });
      actions.add(after.action);
      steps = Math.max(steps, after.steps);
    }
    expect(steps).toBeLessThan(24);
    expect(actions.size).toBe(4);
  });
});

describe('left as it is', () => {
  it.each<readonly [string, readonly Line[]]>([
    ['what is no longer than its tree', [[RETURN, 0, 0, ALLOW]]],
    [
      'an instruction that is not known',
      [
        [LOAD, 0, 0, NUMBER],
        [0x02, 0, 0, 1],
        [RETURN, 0, 0, ALLOW],
      ],
    ],
    [
      'a number that is masked',
      [
        [LOAD, 0, 0, NUMBER],
        [AND, 0, 0, 1],
        [EQUAL, 0, 0, 1],
        [RETURN, 0, 0, ALLOW],
      ],
    ],
    [
      'a number of which one bit is asked',
      [
        [LOAD, 0, 0, NUMBER],
        [SET, 0, 0, 1],
        [RETURN, 0, 0, ALLOW],
      ],
    ],
    [
      'a jump behind the end',
      [
        [LOAD, 0, 0, NUMBER],
        [EQUAL, 9, 0, 1],
        [RETURN, 0, 0, ALLOW],
      ],
    ],
    ['an end without an answer', [[LOAD, 0, 0, NUMBER]]],
    [
      'a comparison with now the one, now the other',
      [
        [LOAD, 0, 0, NUMBER],
        [EQUAL, 0, 1, 5],
        [LOAD, 0, 0, ARCHITECTURE],
        [EQUAL, 0, 1, 7],
        [RETURN, 0, 0, ALLOW],
        [RETURN, 0, 0, KILL],
      ],
    ],
    ['nothing', []],
  ])('%s', (_, lines) => {
    expect(asDecisionTree(encode(lines))).toBeUndefined();
  });
});
