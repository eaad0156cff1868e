import {
  diffBuilds,
  reasonText,
  type BuildDiff,
  type StepChange,
  type StepSide,
  type ValueDifference,
} from '../index.ts';
import { usage, type Command } from './command.ts';
import { humanSize } from './table.ts';

export const diffCommand: Command = {
  name: 'diff',
  usage: '[OPTIONS] BUILD BUILD',
  summary:
    'Shows what differs between two builds: options, arguments, base images, files, steps, times, sizes, results.\nBUILD is an id of slipway builds, latest or latest~N: slipway diff latest~1 latest',
  flags: [{ name: 'json', help: 'As JSON' }],
  async run(parsed, io) {
    const [before, after, ...more] = parsed.positionals;
    if (before === undefined || after === undefined || more.length > 0) {
      throw usage(diffCommand, 'diff needs two builds, as in: slipway diff latest~1 latest');
    }
    const diff = await diffBuilds(before, after, { env: io.env });
    io.stdout.write(parsed.on('json') ? `${JSON.stringify(diff, undefined, 2)}\n` : diffText(diff));
    return 0;
  },
};

function diffText(diff: BuildDiff): string {
  const { before, after } = diff;
  const lines = [
    `build ${before.id} -> ${after.id}`,
    ...diff.options.map((difference) => valueText(difference)),
    ...diff.args.map((difference) => `ARG ${valueText(difference)}`),
    ...diff.bases.map((difference) => `base ${valueText(difference)}`),
    ...diff.steps.flatMap(stepLines),
    ...diff.stages.flatMap(stageLines),
    ...diff.results.map((difference) =>
      difference.name === 'size'
        ? `size ${sizeText(difference.from)} -> ${sizeText(difference.to)}`
        : valueText(difference),
    ),
    `time ${seconds(before.duration)} -> ${seconds(after.duration)}`,
  ];
  return `${lines.join('\n')}\n`;
}

function stepLines({ before, after, reasons }: StepChange): readonly string[] {
  const shown = after ?? before;
  if (shown === undefined) return [];
  const sign = before === undefined ? '+' : after === undefined ? '-' : ' ';
  const where = shown.line === undefined ? shown.name : `line ${shown.line}: ${shown.name}`;
  const became =
    before === undefined || after === undefined
      ? []
      : [
          ...(outcomeText(before) === outcomeText(after) ? [] : [`${outcomeText(before)} -> ${outcomeText(after)}`]),
          ...(before.size === after.size ? [] : [`size ${sizeText(before.size)} -> ${sizeText(after.size)}`]),
        ];
  return [`${sign} ${where}`, ...[...reasons.map(reasonText), ...became].map((text) => `      ${text}`)];
}

function outcomeText({ outcome, duration }: StepSide): string {
  switch (outcome) {
    case 'ran':
    case 'refilled':
    case 'shared':
      return duration === undefined ? 'ran' : `ran ${seconds(duration)}`;
    case 'failed':
      return 'failed';
    case 'found':
      return 'cached';
    case undefined:
      return 'not reached';
  }
}

function stageLines({ name, from, to }: BuildDiff['stages'][number]): readonly string[] {
  const text = (side: typeof from) =>
    side === undefined
      ? 'none'
      : `${humanSize(side.built)} built, ${side.shipped === undefined ? 'not known' : humanSize(side.shipped)} shipped`;
  return [`stage ${name}: ${text(from)} -> ${text(to)}`];
}

function valueText({ name, from, to }: ValueDifference<string | number>): string {
  return `${name} ${from ?? 'none'} -> ${to ?? 'none'}`;
}

function sizeText(bytes: string | number | undefined): string {
  return bytes === undefined ? 'none' : humanSize(Number(bytes));
}

function seconds(milliseconds: number): string {
  return `${(milliseconds / 1000).toFixed(2)}s`;
}
