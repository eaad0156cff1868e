/**
 * Small random projects: a Dockerfile of a few stages whose steps are deterministic, and the files that it copies. What an
 * instruction names is there, so that every project builds.
 */
import type { Random } from './random.ts';

export interface ContextFile {
  readonly text: string;
  readonly mode: number;
}

/** One instruction: its words, and the files that its stage has after it. */
interface Instruction {
  readonly kind: 'context' | 'context-dir' | 'from' | 'run' | 'list' | 'mount' | 'env' | 'workdir' | 'remove' | 'link';
  /** Chooses among what there is to choose from, so that an edit elsewhere changes little here. */
  readonly choice: number;
  readonly word: number;
}

interface Stage {
  readonly base: number;
  readonly instructions: readonly Instruction[];
}

export interface Project {
  readonly files: ReadonlyMap<string, ContextFile>;
  readonly stages: readonly Stage[];
  readonly args: Readonly<Record<string, string>>;
}

const KINDS: readonly Instruction['kind'][] = [
  'context',
  'context',
  'context-dir',
  'from',
  'from',
  'run',
  'run',
  'list',
  'mount',
  'env',
  'workdir',
  'remove',
  'link',
];

export function randomProject(random: Random): Project {
  const files = new Map<string, ContextFile>();
  for (let i = 0; i < 4; i++) files.set(`f${i}`, randomFile(random));
  for (let i = 0; i < 3; i++) files.set(`dir/g${i}`, randomFile(random));
  const stages = Array.from({ length: 2 + random.below(3) }, () => randomStage(random));
  return { files, stages, args: { WORD: String(random.below(3)) } };
}

function randomFile(random: Random): ContextFile {
  return { text: `${random.below(4)}\n`, mode: random.pick([0o644, 0o644, 0o755, 0o600]) };
}

function randomStage(random: Random): Stage {
  return {
    base: random.below(6),
    instructions: Array.from({ length: 1 + random.below(4) }, () => randomInstruction(random)),
  };
}

function randomInstruction(random: Random): Instruction {
  return { kind: random.pick(KINDS), choice: random.below(100), word: random.below(3) };
}

/** What a developer does between two builds. */
export function mutate(project: Project, random: Random): Project {
  const files = new Map(project.files);
  const stages = [...project.stages];
  const at = random.below(stages.length);
  const stage = stages[at];
  const name = random.pick([...files.keys()]);
  const file = files.get(name);
  switch (random.below(9)) {
    case 0:
    case 1:
      if (file !== undefined) files.set(name, { ...file, text: `${random.below(4)}\n` });
      break;
    case 2:
      if (file !== undefined) files.set(name, { ...file, mode: random.pick([0o644, 0o755, 0o600]) });
      break;
    case 3:
      if (!files.delete(`dir/extra${random.below(2)}`)) files.set(`dir/extra${random.below(2)}`, randomFile(random));
      break;
    case 4:
      return { ...project, args: { WORD: String(random.below(3)) } };
    case 5:
      if (stage !== undefined) {
        const instructions = [...stage.instructions];
        instructions[random.below(instructions.length)] = randomInstruction(random);
        stages[at] = { ...stage, instructions };
      }
      break;
    case 6:
      if (stage !== undefined) {
        const instructions = [...stage.instructions];
        instructions.splice(random.below(instructions.length + 1), 0, randomInstruction(random));
        stages[at] = { ...stage, instructions };
      }
      break;
    case 7:
      if (stage !== undefined && stage.instructions.length > 1) {
        stages[at] = { ...stage, instructions: stage.instructions.toReversed() };
      }
      break;
    case 8:
      if (stage !== undefined) stages[at] = { ...stage, base: random.below(6) };
      break;
  }
  return { ...project, files, stages };
}

/** @returns The text; its RUNs need a base named `busybox`. */
export function dockerfileOf({ files, stages }: Project): string {
  const lines: string[] = [];
  /** Of each stage: the files that are there for sure. */
  const known: (readonly string[])[] = [];
  for (const [index, { base, instructions }] of stages.entries()) {
    const parent = base < index && base > 0 ? base - 1 : undefined;
    lines.push(`FROM ${parent === undefined ? 'busybox' : `s${parent}`} AS s${index}`, 'ARG WORD=none');
    let have: readonly string[] = parent === undefined ? ['/etc/passwd'] : (known[parent] ?? []);
    for (const [i, instruction] of instructions.entries()) {
      const text = instructionText(instruction, { index, i, files: [...files.keys()], known, have });
      lines.push(text.text);
      have = text.have;
    }
    known.push(have);
  }
  return `${lines.join('\n')}\n`;
}

interface Place {
  readonly index: number;
  readonly i: number;
  readonly files: readonly string[];
  readonly known: readonly (readonly string[])[];
  readonly have: readonly string[];
}

function instructionText(
  { kind, choice, word }: Instruction,
  { index, i, files, known, have }: Place,
): { readonly text: string; readonly have: readonly string[] } {
  const made = `/made-${index}-${i}`;
  const file = files[choice % files.length] ?? 'f0';
  const from = known.length === 0 ? undefined : choice % known.length;
  const theirs = from === undefined ? [] : (known[from] ?? []);
  const their = theirs[word % Math.max(theirs.length, 1)];
  const own = have[choice % have.length] ?? '/etc/passwd';
  const flags = ['', '--chmod=0640 ', '--chown=1000:2000 '][word] ?? '';
  switch (kind) {
    case 'context':
      return { text: `COPY ${flags}${file} ${made}`, have: [...have, made] };
    case 'context-dir':
      return { text: `COPY ${flags}dir ${made}`, have: [...have, `${made}/g0`] };
    case 'from':
    case 'mount': {
      if (from === undefined || their === undefined) return { text: `COPY ${file} ${made}`, have: [...have, made] };
      if (kind === 'from') return { text: `COPY ${flags}--from=s${from} ${their} ${made}`, have: [...have, made] };
      return { text: `RUN --mount=from=s${from},target=/m cat /m${their} > ${made}`, have: [...have, made] };
    }
    case 'run':
      return { text: `RUN cat ${own} > ${made} && echo ${word} $WORD $NAME >> ${made}`, have: [...have, made] };
    case 'list':
      // All that can be seen of the stage's own files: content, modes, owners, links; the list itself is not among them.
      return {
        text: `RUN find / -xdev -name 'made-*' | sort | while read f; do stat -c '%n %a %u %g %F' $f; cat $f 2>/dev/null || :; done > /list && mv /list ${made}`,
        have: [...have, made],
      };
    case 'env':
      return { text: `ENV NAME=${word}`, have };
    case 'workdir':
      return { text: `WORKDIR /work${word}`, have };
    case 'remove':
      return own === '/etc/passwd' || own.includes('/g0')
        ? { text: 'RUN true', have }
        : { text: `RUN rm ${own}`, have: have.filter((path) => path !== own) };
    case 'link':
      return { text: `RUN ln ${own} ${made} && ln -s ${own} ${made}-link`, have: [...have, made] };
  }
}
