import { BuildError, removeImage } from '../../index.ts';
import { usage, type Command } from '../command.ts';
import { formatError } from '../print-error.ts';

export const rmiCommand: Command = {
  name: 'rmi',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Removes names of images from the local store. slipway prune frees what they needed.',
  flags: [{ name: 'force', short: 'f', help: 'By ID also an image with several names; missing ones are no failure' }],
  async run(parsed, io) {
    if (parsed.positionals.length === 0) throw usage(rmiCommand, 'rmi needs an image');
    const isForced = parsed.on('force');
    let failure: BuildError | undefined;
    for (const name of parsed.positionals) {
      try {
        const { untagged, deleted } = await removeImage(name, { env: io.env, force: isForced });
        for (const gone of untagged) io.stdout.write(`Untagged: ${gone}\n`);
        if (deleted !== undefined) io.stdout.write(`Deleted: ${deleted}\n`);
      } catch (error) {
        // The others go all the same, as with docker.
        if (!(error instanceof BuildError)) throw error;
        const isMissing = error.code === 'image-not-found' && isForced;
        if (failure !== undefined || isMissing) io.stderr.write(formatError(error));
        else failure = error;
      }
    }
    if (failure !== undefined) throw failure;
    return 0;
  },
};
