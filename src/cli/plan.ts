import { plan, reasonText, type PlannedStep } from '../index.ts';
import { BUILD_FLAGS, optionsOf } from './build.ts';
import { usage, type Command } from './command.ts';

/** Flags that ask for something else than a build here. The others are taken, so that `build` can be replaced by `plan`. */
const NOT_PLANNED = new Set(['builder', 'call', 'check', 'print']);

export const planCommand: Command = {
  name: 'plan',
  usage: '[OPTIONS] CONTEXT',
  summary:
    'Says of each step whether a build with these options would find it (HIT) or run it (MISS), and why. Runs nothing and\npulls no layers. MISS?: that depends on what another step writes. Exit code 0 when nothing would run, 1 when\nsomething would.',
  flags: [...BUILD_FLAGS.filter(({ name }) => !NOT_PLANNED.has(name)), { name: 'json', help: 'As JSON' }],
  async run(parsed, io) {
    const [context, ...more] = parsed.positionals;
    if (context === undefined) throw usage(planCommand, 'plan needs a context, as in: slipway plan .');
    if (more.length > 0) throw usage(planCommand, `plan takes one context; what about "${more[0] ?? ''}"?`);
    const planned = await plan(optionsOf(parsed, io, context));
    for (const warning of planned.warnings) io.stderr.write(`warning: ${warning}\n`);
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(planned, undefined, 2)}\n`);
    else io.stdout.write(planned.steps.map(stepText).join(''));
    return planned.cached ? 0 : 1;
  },
};

const WORDS: Readonly<Record<PlannedStep['status'], string>> = { hit: 'HIT', miss: 'MISS', unknown: 'MISS?' };

function stepText({ status, name, line, reasons, until }: PlannedStep): string {
  const where = line === undefined ? name : `line ${line}: ${name}`;
  const lines = [`${WORDS[status].padEnd(6)} ${where}`];
  const [first] = reasons;
  if (first !== undefined)
    lines.push(`           ${reasonText(first)}${reasons.length > 1 ? ` (+${reasons.length - 1} more)` : ''}`);
  if (until.length > 0) {
    const waits = until.map((step) =>
      step.kind === 'pull'
        ? `the layers of ${step.name} are pulled`
        : `${step.line === undefined ? step.name : `line ${step.line}`} has run`,
    );
    lines.push(`           unknown until ${[...new Set(waits)].join(' and ')}`);
  }
  return lines.map((text) => `${text}\n`).join('');
}
