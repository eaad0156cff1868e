/** Commands that move images: tag, pull, push, save, load; their words are docker's. */
import {
  createProgress,
  listImages,
  loadImages,
  pullImage,
  pushImage,
  saveImages,
  tagImage,
  type BuildEventSink,
} from '../../index.ts';
import { usage, type Command, type Io } from '../command.ts';
import { MIRROR, PLATFORM } from './flags.ts';

const QUIET = { name: 'quiet', short: 'q', help: 'Print only the result' } as const;

export const tagCommand: Command = {
  name: 'tag',
  usage: 'IMAGE NAME[:TAG]',
  summary: 'Gives an image of the local store another name.',
  flags: [],
  async run(parsed, io) {
    const [source, target, ...more] = parsed.positionals;
    if (source === undefined || target === undefined || more.length > 0)
      throw usage(tagCommand, 'tag takes an image and a name for it');
    await tagImage(source, target, { env: io.env });
    return 0;
  },
};

export const pullCommand: Command = {
  name: 'pull',
  usage: '[OPTIONS] NAME[:TAG|@DIGEST]',
  summary: 'Pulls an image with all its layers into the local store, for one platform.',
  flags: [MIRROR, PLATFORM, QUIET],
  async run(parsed, io) {
    const [name, ...more] = parsed.positionals;
    if (name === undefined || more.length > 0) throw usage(pullCommand, 'pull takes one image');
    const isQuiet = parsed.on('quiet');
    if (!isQuiet && isUntagged(name)) io.stdout.write('Using default tag: latest\n');
    const pulled = await shown(io, isQuiet, async (onEvent) => {
      const { env, signal } = io;
      return await pullImage(name, {
        env,
        signal,
        onEvent,
        platform: parsed.text('platform'),
        mirrors: parsed.list('mirror'),
      });
    });
    if (!isQuiet) {
      const status = pulled.isNew ? 'Downloaded newer image for' : 'Image is up to date for';
      io.stdout.write(`Digest: ${pulled.digest}\nStatus: ${status} ${familiar(pulled.name)}\n`);
    }
    io.stdout.write(`${pulled.name}\n`);
    return 0;
  },
};

export const pushCommand: Command = {
  name: 'push',
  usage: '[OPTIONS] NAME[:TAG]',
  summary: 'Pushes an image of the local store to the registry that its name says.',
  flags: [{ name: 'all-tags', short: 'a', help: 'All that the local store has under NAME' }, MIRROR, PLATFORM, QUIET],
  async run(parsed, io) {
    const [name, ...more] = parsed.positionals;
    if (name === undefined || more.length > 0) throw usage(pushCommand, 'push takes one image');
    const isQuiet = parsed.on('quiet');
    const isAll = parsed.on('all-tags');
    if (isAll && !isUntagged(name)) throw usage(pushCommand, '--all-tags takes a name without a tag');
    if (!isQuiet && !isAll && isUntagged(name)) io.stdout.write('Using default tag: latest\n');
    const names = isAll
      ? (await listImages({ env: io.env, name })).map(({ repository, tag }) => `${repository}:${tag}`)
      : [name];
    if (names.length === 0) throw usage(pushCommand, `the local store has no image under ${name}`);
    const pushed = await shown(io, isQuiet, async (onEvent) => {
      const { env, signal } = io;
      const options = { env, signal, onEvent, platform: parsed.text('platform'), mirrors: parsed.list('mirror') };
      return await pushImage(names, options);
    });
    for (const { name: full, digest, size, left } of pushed) {
      if (isQuiet) io.stdout.write(`${full}\n`);
      else io.stdout.write(`${full.slice(full.lastIndexOf(':') + 1)}: digest: ${digest} size: ${size}\n`);
      if (left.length > 0) io.stderr.write(`note: ${left.join(', ')} of ${full} not pushed: not in the local store\n`);
    }
    return 0;
  },
};

export const saveCommand: Command = {
  name: 'save',
  usage: '[OPTIONS] IMAGE [IMAGE...]',
  summary: 'Writes images into one archive, to standard output or a file.',
  flags: [
    {
      name: 'format',
      value: 'docker|oci',
      help: 'docker: for docker load and everybody else (default); oci: an OCI layout, all platforms',
    },
    { name: 'output', short: 'o', value: 'FILE', help: 'Write to FILE' },
    PLATFORM,
  ],
  async run(parsed, io) {
    if (parsed.positionals.length === 0) throw usage(saveCommand, 'save needs an image');
    const format = parsed.text('format')?.replace(/-archive$/, '') ?? 'docker';
    if (format !== 'docker' && format !== 'oci')
      throw usage(saveCommand, `--format takes docker or oci, not "${format}"`);
    await saveImages(parsed.positionals, {
      ...{ env: io.env, cwd: io.cwd, signal: io.signal, stdout: io.stdout },
      ...{ format, platform: parsed.text('platform'), output: parsed.text('output') },
    });
    return 0;
  },
};

export const loadCommand: Command = {
  name: 'load',
  usage: '[OPTIONS]',
  summary:
    'Takes the images of an archive into the local store: of docker save, podman save or skopeo, an OCI layout (a tar or its directory); gzip, zstd, xz and bzip2 as well.',
  flags: [{ name: 'input', short: 'i', value: 'FILE', help: 'Read FILE (default: standard input)' }, QUIET],
  async run(parsed, io) {
    if (parsed.positionals.length > 0) throw usage(loadCommand, 'load takes its archive with -i FILE');
    const images = await shown(io, true, async (onEvent) => {
      const { env, cwd, signal, stdin } = io;
      return await loadImages({ env, cwd, signal, stdin, onEvent, input: parsed.text('input') });
    });
    for (const { name, id } of images) {
      if (name === undefined) io.stdout.write(`Loaded image ID: ${id}\n`);
      else io.stdout.write(`Loaded image: ${familiar(name)}\n`);
    }
    return 0;
  },
};

async function shown<T>(io: Io, isQuiet: boolean, work: (onEvent: BuildEventSink) => Promise<T>): Promise<T> {
  const progress = createProgress(isQuiet ? 'quiet' : 'auto', io.stderr);
  try {
    return await work(progress.sink);
  } finally {
    progress.close();
  }
}

function isUntagged(name: string): boolean {
  return !name.includes('@') && name.lastIndexOf(':') <= name.lastIndexOf('/');
}

function familiar(name: string): string {
  return name.replace(/^docker\.io\/(?:library\/)?/, '');
}
