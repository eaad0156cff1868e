import { imageHistory, inspectImage, listImages, removeImage } from '../index.ts';
import { usage, type Command, type Flag } from './command.ts';
import { ago, humanSize, table } from './table.ts';

/** Hex digits of an ID shown in tables, as docker does. */
const SHORT_ID = 12;

const PLATFORM: Flag = {
  name: 'platform',
  value: 'OS/ARCH',
  help: "Of an image of several platforms (default: this machine's)",
};

export const imagesCommand: Command = {
  name: 'images',
  usage: '[OPTIONS]',
  summary: 'Lists the images that were built into the local store. Sizes are of the compressed layers.',
  flags: [
    { name: 'all', short: 'a', help: 'Base images that were pulled, too' },
    { name: 'quiet', short: 'q', help: 'Print only image IDs' },
    { name: 'json', help: 'As JSON' },
  ],
  async run(parsed, io) {
    const images = await listImages({ env: io.env, pulled: parsed.on('all') });
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    else if (parsed.on('quiet')) io.stdout.write(images.map((image) => `${image.id}\n`).join(''));
    else {
      const rows = images.map((image) => [
        image.repository,
        image.tag,
        image.id.slice(7, 7 + SHORT_ID),
        ago(image.created, Date.now()),
        humanSize(image.size),
      ]);
      io.stdout.write(table(['REPOSITORY', 'TAG', 'IMAGE ID', 'CREATED', 'SIZE'], rows));
    }
    return 0;
  },
};

export const inspectCommand: Command = {
  name: 'inspect',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Shows what images are: digests, configuration, layers; a JSON array.',
  flags: [PLATFORM],
  async run(parsed, io) {
    if (parsed.positionals.length === 0) throw usage(inspectCommand, 'inspect needs an image');
    const all = [];
    for (const name of parsed.positionals)
      all.push(await inspectImage(name, { env: io.env, platform: parsed.text('platform') }));
    io.stdout.write(`${JSON.stringify(all, undefined, 2)}\n`);
    return 0;
  },
};

export const historyCommand: Command = {
  name: 'history',
  usage: '[OPTIONS] IMAGE',
  summary: 'Shows the steps that made an image, the last first, with the bytes that each added.',
  flags: [{ name: 'json', help: 'As JSON' }, { name: 'no-trunc', help: 'Do not shorten the steps' }, PLATFORM],
  async run(parsed, io) {
    const [name] = parsed.positionals;
    if (name === undefined) throw usage(historyCommand, 'history needs an image');
    const entries = await imageHistory(name, { env: io.env, platform: parsed.text('platform') });
    if (parsed.on('json')) {
      io.stdout.write(`${JSON.stringify(entries, undefined, 2)}\n`);
      return 0;
    }
    const shorten = (text: string) => (parsed.on('no-trunc') || text.length <= 60 ? text : `${text.slice(0, 59)}…`);
    const rows = entries.map((entry) => [
      ago(entry.created, Date.now()),
      humanSize(entry.size),
      shorten(entry.createdBy),
      entry.comment,
    ]);
    io.stdout.write(table(['CREATED', 'SIZE', 'CREATED BY', 'COMMENT'], rows));
    return 0;
  },
};

export const rmiCommand: Command = {
  name: 'rmi',
  usage: 'IMAGE [IMAGE...]',
  summary: 'Removes names of images from the local store. slipway prune frees what they needed.',
  flags: [],
  async run(parsed, io) {
    if (parsed.positionals.length === 0) throw usage(rmiCommand, 'rmi needs an image');
    for (const name of parsed.positionals) io.stdout.write(`Untagged: ${await removeImage(name, { env: io.env })}\n`);
    return 0;
  },
};
