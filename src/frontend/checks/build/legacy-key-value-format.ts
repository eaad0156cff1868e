import type { EnvInstruction, LabelInstruction, Report, Rule, TextEdit } from '../../../dockerfile/index.ts';
import { stepsOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

/** Names that need no quotes in either form. */
const PLAIN_KEY = /^[\w.\-/]+$/;

export const legacyKeyValueFormat: Rule<BuildView> = {
  name: 'LegacyKeyValueFormat',
  severity: 'warning',
  description: 'ENV and LABEL are written with =',
  origin: 'buildkit',
  default: 'on',
  fixes: true,
  doc: {
    why: 'In the old form all that follows the name is the value: `ENV A 1 B=2` sets A to `1 B=2`. `--fix` repairs it.',
    bad: 'FROM alpine\nENV GREETING hello world',
    good: 'FROM alpine\nENV GREETING="hello world"',
  },
  *check({ stages, dockerfile }): Iterable<Report> {
    for (const stage of stages) {
      for (const step of stepsOf([stage], 'ENV')) yield* reportStep(step, dockerfile.escape);
      for (const step of stepsOf([stage], 'LABEL')) yield* reportStep(step, dockerfile.escape);
    }
  },
};

function* reportStep(step: StepView<EnvInstruction | LabelInstruction>, escape: string): Iterable<Report> {
  const { name, legacy, pairs } = step.instruction;
  if (!legacy) return;
  const key = pairs[0]?.key.text ?? 'NAME';
  yield {
    message: `${name} ${key} is written in the old form, without =`,
    hint: `write ${name} ${key}=...`,
    place: step,
    edits: step.onBuild ? [] : repair(step.instruction, escape),
  };
}

/** Where the value is one word it stays as it is; with blanks, and nothing that quotes would change, it is quoted. */
function repair({ pairs }: EnvInstruction | LabelInstruction, escape: string): readonly TextEdit[] {
  const [pair] = pairs;
  if (pair === undefined || !PLAIN_KEY.test(pair.key.text)) return [];
  const { key, value } = pair;
  if (key.range.end.line !== value.range.start.line) return [];
  const between = { start: key.range.end, end: value.range.start };
  const after = { start: value.range.end, end: value.range.end };
  if (!/[\s\u0085]/.test(value.text) || isQuoted(value.text, escape)) return [{ range: between, text: '=' }];
  if (/['"]/.test(value.text) || value.text.includes(escape) || /\$\{[^}]*\s/.test(value.text)) return [];
  return [
    { range: between, text: '="' },
    { range: after, text: '"' },
  ];
}

/** Wholly in one pair of quotes. */
function isQuoted(text: string, escape: string): boolean {
  const quote = text.charAt(0);
  if (quote !== '"' && quote !== "'") return false;
  return text.length > 1 && text.indexOf(quote, 1) === text.length - 1 && !text.includes(escape);
}
