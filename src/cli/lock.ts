import { lock } from '../index.ts';
import { BUILD_FLAGS, optionsOf } from './build.ts';
import { usage, type Command } from './command.ts';

/** Of build's flags, those that decide what a build reads. */
const READS = ['build-arg', 'build-context', 'file', 'mirror', 'platform', 'secret', 'ssh', 'target'];

export const lockCommand: Command = {
  name: 'lock',
  usage: '[OPTIONS] CONTEXT',
  summary:
    'Pins every image, URL and git ref that a build reads, in slipway.lock beside the Dockerfile; build --frozen reads nothing else.',
  flags: [
    ...BUILD_FLAGS.filter((flag) => READS.includes(flag.name)),
    { name: 'dry-run', help: 'Say what would change; exit code 1 when something would' },
    { name: 'update', help: 'Look up again what is pinned already' },
  ],
  async run(parsed, io) {
    const [context, ...more] = parsed.positionals;
    if (context === undefined || more.length > 0)
      throw usage(lockCommand, 'lock takes one context, as in: slipway lock .');
    const dryRun = parsed.on('dry-run');
    const { path, changes } = await lock({ ...optionsOf(parsed, io, context), update: parsed.on('update'), dryRun });
    for (const { name, before, after } of changes) {
      io.stdout.write(
        `${before === undefined ? '+' : after === undefined ? '-' : '~'} ${name} ${[before, after].filter(Boolean).join(' -> ')}\n`,
      );
    }
    io.stdout.write(
      changes.length === 0 ? `${path} is up to date\n` : `${path} ${dryRun ? 'would change' : 'written'}\n`,
    );
    return dryRun && changes.length > 0 ? 1 : 0;
  },
};
