import { createIndex, createProgress, inspectIndex, type ImageIndex } from '../index.ts';
import { usage, type Command, type Io, type Parsed } from './command.ts';
import { humanSize, table } from './table.ts';

export const indexCommand: Command = {
  name: 'index',
  usage: 'create [OPTIONS] NAME IMAGE [IMAGE...] | inspect [OPTIONS] NAME',
  summary:
    'Joins images that were built on separate machines to one name with an image for each platform, and pushes it; or shows what is behind a name. An IMAGE is one that was built here, else of its registry.',
  flags: [
    {
      name: 'annotation',
      value: '[TARGET:]KEY=VALUE',
      multiple: true,
      help: 'create: annotation of the index, or of TARGET: manifest-descriptor[OS/ARCH]',
    },
    { name: 'dry-run', help: 'create: print the index, push nothing' },
    { name: 'json', help: 'inspect: as JSON' },
    { name: 'local', help: 'create: keep it in the local store, push nothing' },
    {
      name: 'mirror',
      value: 'REGISTRY=HOST[,HOST]',
      multiple: true,
      help: 'Ask HOST before REGISTRY, as docker.io=localhost:5000',
    },
    { name: 'quiet', short: 'q', help: 'create: print only the digest' },
    { name: 'raw', help: 'inspect: the document as it is' },
    { name: 'tag', short: 't', value: 'NAME', multiple: true, help: 'create: a further name' },
  ],
  async run(parsed, io) {
    const [verb, ...words] = parsed.positionals;
    switch (verb) {
      case 'create':
        return await create(words, parsed, io);
      case 'inspect':
        return await inspect(words, parsed, io);
      default:
        throw usage(indexCommand, verb === undefined ? 'index needs create or inspect' : `index has no "${verb}"`);
    }
  },
};

async function create([name, ...images]: readonly string[], parsed: Parsed, io: Io): Promise<number> {
  if (name === undefined || images.length === 0) throw usage(indexCommand, 'index create takes NAME IMAGE [IMAGE...]');
  const isQuiet = parsed.on('quiet') || parsed.on('dry-run');
  const progress = createProgress(isQuiet ? 'quiet' : 'auto', io.stderr);
  let made: ImageIndex;
  try {
    made = await createIndex({
      names: [name, ...parsed.list('tag')],
      images,
      annotations: parsed.list('annotation'),
      local: parsed.on('local'),
      dryRun: parsed.on('dry-run'),
      mirrors: parsed.list('mirror'),
      env: io.env,
      signal: io.signal,
      onEvent: progress.sink,
    });
  } finally {
    progress.close();
  }
  if (parsed.on('dry-run')) await write(io, `${Buffer.from(made.bytes).toString('utf8')}\n`);
  else
    await write(
      io,
      parsed.on('quiet') ? `${made.digest}\n` : made.names.map((full) => `${full}@${made.digest}\n`).join(''),
    );
  return 0;
}

async function inspect([name, ...more]: readonly string[], parsed: Parsed, io: Io): Promise<number> {
  if (name === undefined || more.length > 0) throw usage(indexCommand, 'index inspect takes one NAME');
  const found = await inspectIndex(name, { mirrors: parsed.list('mirror'), env: io.env, signal: io.signal });
  const { bytes, ...rest } = found;
  if (parsed.on('raw')) await write(io, Buffer.from(bytes).toString('utf8'));
  else if (parsed.on('json')) await write(io, `${JSON.stringify(rest, undefined, 2)}\n`);
  else await write(io, text(found));
  return 0;
}

function text({ names, digest, mediaType, annotations, entries }: ImageIndex): string {
  const rows = entries.map((entry) => [
    entry.platform ?? (entry.attests === undefined ? '-' : `attests ${entry.attests.slice(7, 19)}`),
    entry.digest,
    humanSize(entry.size),
  ]);
  const head = [
    `Name:       ${names.join(', ')}`,
    `MediaType:  ${mediaType}`,
    `Digest:     ${digest}`,
    ...Object.entries(annotations).map(([key, value]) => `Annotation: ${key}=${value}`),
  ];
  return `${head.join('\n')}\n\n${table(['PLATFORM', 'DIGEST', 'MANIFEST SIZE'], rows)}`;
}

/** Waits until a pipe has taken it all: the process ends when the command does. */
async function write({ stdout }: Io, data: string): Promise<void> {
  await new Promise<void>((resolve) => stdout.write(data, () => resolve()));
}
