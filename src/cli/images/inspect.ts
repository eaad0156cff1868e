import { BuildError, inspectImage } from '../../index.ts';
import { usage, type Command } from '../command.ts';
import { FORMAT, PLATFORM } from './flags.ts';

export const inspectCommand: Command = {
  name: 'inspect',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Shows what images are: digests, configuration, layers; a JSON array.',
  flags: [
    { ...FORMAT, short: 'f', help: "A Go template as docker's, or json" },
    PLATFORM,
    { name: 'type', value: 'image', help: 'What to look for; there are only images' },
  ],
  async run(parsed, io) {
    if (parsed.positionals.length === 0) throw usage(inspectCommand, 'inspect needs an image');
    const type = parsed.text('type') ?? 'image';
    if (type !== 'image') throw usage(inspectCommand, `--type takes image, not "${type}"`);
    const all = [];
    let failure: BuildError | undefined;
    for (const name of parsed.positionals) {
      try {
        all.push(await inspectImage(name, { env: io.env, platform: parsed.text('platform') }));
      } catch (error) {
        // The others are shown all the same, as docker does.
        if (!(error instanceof BuildError) || error.code !== 'image-not-found') throw error;
        failure ??= error;
      }
    }
    const format = parsed.text('format');
    if (format === undefined) io.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
    else {
      const { formatValue } = await import('../template/index.ts');
      io.stdout.write(all.map((image) => formatValue(format, image)).join(''));
    }
    if (failure !== undefined) throw failure;
    return 0;
  },
};
