import type { ArgInstruction, Dockerfile, FromInstruction } from '../types.ts';
import type { Report, Rule } from './rule.ts';

export const invalidDefinitionDescription: Rule<Dockerfile> = {
  name: 'InvalidDefinitionDescription',
  severity: 'warning',
  description: 'A comment directly above FROM … AS or ARG begins with the name that it describes',
  origin: 'buildkit',
  default: 'off',
  doc: {
    why: '`--call=targets` and `--call=outline` show such comments as descriptions: `# name text`. A blank line, or a line with `#` alone, between comment and instruction says that it is no description.',
    bad: '# check=experimental=InvalidDefinitionDescription\n\n# of the runtime\nARG VERSION=1\nFROM alpine:${VERSION}',
    good: '# check=experimental=InvalidDefinitionDescription\n\n# VERSION of the runtime\nARG VERSION=1\nFROM alpine:${VERSION}',
  },
  *check({ globalArgs, stages }): Iterable<Report> {
    for (const arg of globalArgs) yield* reports(arg, argNames(arg));
    for (const { from, name, instructions } of stages) {
      if (name !== undefined && from.comments.length > 0) yield* reports(from, [name]);
      for (const instruction of instructions) {
        if (instruction.name === 'ARG') yield* reports(instruction, argNames(instruction));
      }
    }
  },
};

function argNames({ args }: ArgInstruction): readonly string[] {
  return args.map(({ key }) => key.text);
}

/** Only the last line is looked at, as in BuildKit. */
function* reports(instruction: ArgInstruction | FromInstruction, names: readonly string[]): Iterable<Report> {
  const comment = instruction.comments.at(-1);
  const [only, ...others] = names;
  if (comment === undefined || only === undefined || names.includes(comment.text.split(' ')[0] ?? '')) return;
  yield {
    message: `the comment above ${instruction.name} is no description: it does not begin with ${others.length > 0 ? 'the name of an argument' : only}`,
    hint: `write # ${others.length > 0 ? 'NAME' : only} and what it is, or put a blank line below the comment`,
    place: instruction,
  };
}
