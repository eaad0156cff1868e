import { explain, explanationText, type Explanation } from '../index.ts';
import type { Command } from './command.ts';

export const explainCommand: Command = {
  name: 'explain',
  usage: '[OPTIONS] [BUILD]',
  summary:
    'Says why each step of a build ran that did: the first input that differs from the build before.\nBUILD is an id of slipway builds, latest (the default) or latest~N.',
  flags: [
    { name: 'all', short: 'a', help: 'Every reason, not only the first of each step' },
    { name: 'json', help: 'As JSON' },
  ],
  async run(parsed, io) {
    const explained = await explain(parsed.positionals[0], { env: io.env });
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(explained, undefined, 2)}\n`);
    else io.stdout.write(explanationLines(explained.explanations, parsed.on('all')));
    return 0;
  },
};

/** What `slipway explain` prints. */
export function explanationLines(explanations: readonly Explanation[], all: boolean): string {
  if (explanations.length === 0) return 'every step was cached\n';
  return explanations.map((explanation) => `${explanationText(explanation, all)}\n`).join('');
}
