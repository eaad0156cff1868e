import { expandWord, isSlip, nearest } from '../../../dockerfile/index.ts';
import type { Instruction, Report, Rule, Word } from '../../../dockerfile/index.ts';
import { BuildError } from '../../../contracts/index.ts';
import type { BuildView, StageView, StepView } from '../view.ts';

/** Arguments that configure the builder and are never variables. */
const BUILDER_ARGS: ReadonlySet<string> = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);
/** Lower-case names that base images do set. */
const LOWER_CASE_IMAGE_ENV = /^(?:container|\w+_proxy)$/;

export const undefinedVar: Rule<BuildView> = {
  name: 'UndefinedVar',
  severity: 'warning',
  description: 'Variables are set by ARG or ENV before they are used',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'A variable that nothing sets is empty: `COPY $src .` then copies everything. An ARG before the first FROM is not seen in a stage until the stage repeats it (`ARG NAME`). In a build, the variables of the base image are known; `slipway check` asks no registry, and reports there what cannot come from an image.',
    bad: 'FROM alpine\nARG ASSETS=assets/\nCOPY $ASSET /srv/',
    good: 'FROM alpine\nARG ASSETS=assets/\nCOPY $ASSETS /srv/',
  },
  *check(view): Iterable<Report> {
    for (const stage of view.stages) {
      for (const step of stage.steps) {
        const seen = new Set<string>();
        for (const { word, plainQuotes } of expandedWords(step.instruction)) {
          for (const name of unsetIn(word, step, plainQuotes ? '\\' : view.dockerfile.escape, plainQuotes)) {
            if (seen.has(name) || BUILDER_ARGS.has(name) || step.args.has(name)) continue;
            seen.add(name);
            const near = nearName(name, step);
            if (!step.envIsKnown && !isSurelyUnset(name, near, stage, view)) continue;
            yield {
              message: `nothing sets the variable ${name}`,
              hint: hintFor(name, near, view),
              place: step,
              range: step.onBuild ? undefined : word.range,
            };
          }
        }
      }
    }
  },
};

function hintFor(name: string, near: string | undefined, { dockerfile }: BuildView): string {
  if (near !== undefined) return `did you mean $${near}?`;
  const isGlobal = dockerfile.globalArgs.some(({ args }) => args.some(({ key }) => key.text === name));
  return isGlobal
    ? `the stage does not see the ARG before the first FROM: add ARG ${name} to the stage`
    : `set it before, with ARG ${name} or ENV ${name}=...`;
}

function nearName(name: string, step: StepView): string | undefined {
  const known = [...step.env.keys()];
  return known.find((other) => isSlip(name, other)) ?? nearest(name, known);
}

/** The base image may set anything: only what its variable can hardly be is reported. */
function isSurelyUnset(name: string, near: string | undefined, stage: StageView, { dockerfile }: BuildView): boolean {
  if (near !== undefined && name.length > 3 && isSlip(name, near)) return true;
  if (/^[a-z][a-z0-9_]*$/.test(name) && !LOWER_CASE_IMAGE_ENV.test(name)) return true;
  const declares = (instruction: Instruction): boolean =>
    instruction.name === 'ARG' && instruction.args.some(({ key }) => key.text === name);
  return [...dockerfile.globalArgs, ...stage.node.stage.instructions].some(declares);
}

interface ExpandedWord {
  readonly word: Word;
  /** The body of a heredoc, where quotes are text. */
  readonly plainQuotes: boolean;
}

/** What is expanded of an instruction, and reported by BuildKit when it is unset: not the ports of EXPOSE. */
function expandedWords(instruction: Instruction): readonly ExpandedWord[] {
  const plain = (words: readonly (Word | undefined)[]): ExpandedWord[] =>
    words.flatMap((word) => (word === undefined ? [] : { word, plainQuotes: false }));
  switch (instruction.name) {
    case 'ARG':
      return plain(instruction.args.map(({ value }) => value));
    case 'ENV':
    case 'LABEL':
      return plain(instruction.pairs.flatMap(({ key, value }) => [key, value]));
    case 'WORKDIR':
      return plain([instruction.path]);
    case 'USER':
      return plain([instruction.user]);
    case 'VOLUME':
      return plain(instruction.volumes);
    case 'STOPSIGNAL':
      return plain([instruction.signal]);
    case 'RUN':
      return plain(instruction.mounts);
    case 'COPY':
    case 'ADD': {
      const checksum = instruction.name === 'ADD' ? instruction.checksum : undefined;
      const bodies = instruction.sources.flatMap((source) =>
        source.kind === 'heredoc' && source.expand ? { text: source.content, range: source.range } : [],
      );
      return [
        ...plain(instruction.sources.map((source) => (source.kind === 'path' ? source : undefined))),
        ...plain([instruction.destination, instruction.chown, instruction.chmod, checksum]),
        ...bodies.map((word) => ({ word, plainQuotes: true })),
      ];
    }
    default:
      return [];
  }
}

function unsetIn(word: Word, { env }: StepView, escape: string, plainQuotes: boolean): Iterable<string> {
  if (!word.text.includes('$')) return [];
  try {
    return expandWord(word.text, env, { escape, plainQuotes }).unmatched;
  } catch (error) {
    if (error instanceof BuildError) return [];
    throw error;
  }
}
