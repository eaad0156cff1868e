import type { Dockerfile, FromInstruction, Instruction } from '../types.ts';
import { casingOf, inCasing, type Casing } from './casing.ts';
import type { Report, Rule } from './rule.ts';

export const consistentInstructionCasing: Rule<Dockerfile> = {
  name: 'ConsistentInstructionCasing',
  severity: 'warning',
  description: 'All instructions of a file are written in one case',
  origin: 'buildkit',
  default: 'on',
  fixes: true,
  doc: {
    why: 'Any case is understood; one case throughout, by custom the upper one, is easier to read. The case that most instructions have counts. `--fix` repairs it.',
    bad: 'FROM alpine\nRUN true\nCopy . .',
    good: 'FROM alpine\nRUN true\nCOPY . .',
  },
  *check({ stages }): Iterable<Report> {
    const count = { lower: 0, upper: 0, mixed: 0 };
    for (const { from, instructions } of stages) {
      count[casing(from)]++;
      for (const instruction of instructions) count[casing(instruction)]++;
    }
    if (count.lower + count.mixed === 0 || count.upper + count.mixed === 0) return;
    const all = stages.flatMap(({ from, instructions }): (FromInstruction | Instruction)[] => [from, ...instructions]);
    const majority = count.lower > count.upper ? 'lower' : 'upper';
    for (const { keyword, keywordRange, range, comments } of all) {
      const right = inCasing(keyword, majority);
      if (keyword === right) continue;
      yield {
        message: `${keyword} is not in ${majority} case as most instructions of the file`,
        hint: `write ${right}`,
        place: { range, comments },
        range: keywordRange,
        edits: [{ range: keywordRange, text: right }],
      };
    }
  },
};

function casing({ keyword, name }: FromInstruction | Instruction): Casing | 'mixed' {
  return keyword === name ? 'upper' : (casingOf(keyword) ?? 'mixed');
}
