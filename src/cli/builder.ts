import {
  addBuilder,
  builderDiskUsage,
  currentBuilder,
  inspectBuilder,
  listBuilders,
  pruneBuilder,
  removeBuilder,
  useBuilder,
  type BuilderStatus,
} from '../index.ts';
import { usage, type Command, type Io, type Parsed } from './command.ts';
import { humanSize, table } from './table.ts';

const ACTIONS: Readonly<Record<string, (words: readonly string[], parsed: Parsed, io: Io) => Promise<void>>> = {
  add: async ([name, ...urls], parsed, io) => {
    if (name === undefined || urls.length === 0) throw usage(builderCommand, 'builder add needs a name and a URL');
    const platforms = parsed.list('platform').flatMap((word) => word.split(','));
    const builder = addBuilder(
      name,
      urls.map((url) => ({ url, platforms })),
      io.env,
    );
    if (parsed.on('use')) useBuilder(name, io.env);
    io.stdout.write(`${builder.name}: ${builder.nodes.length === 1 ? '1 node' : `${builder.nodes.length} nodes`}\n`);
    await Promise.resolve();
  },
  ls: async (_words, parsed, io) => {
    const current = currentBuilder(io.env);
    const builders = await Promise.all(
      listBuilders(io.env).map(async ({ name }) => await inspectBuilder(name, { env: io.env, signal: io.signal })),
    );
    if (parsed.on('json')) {
      io.stdout.write(`${JSON.stringify({ current, builders }, undefined, 2)}\n`);
      return;
    }
    const embedded = [mark('embedded', current), '', '', '', 'this machine'];
    const rows = builders.flatMap((builder) =>
      builder.nodes.map((node, i) => [
        i === 0 ? mark(builder.name, current) : '',
        node.url,
        node.error === undefined ? 'up' : 'down',
        node.version ?? '',
        node.error ?? node.platforms.join(', '),
      ]),
    );
    io.stdout.write(table(['NAME', 'DAEMON', 'STATUS', 'BUILDKIT', 'PLATFORMS'], [embedded, ...rows]));
  },
  inspect: async ([name], parsed, io) => {
    const builder = await inspectBuilder(name ?? currentBuilder(io.env), { env: io.env, signal: io.signal });
    io.stdout.write(parsed.on('json') ? `${JSON.stringify(builder, undefined, 2)}\n` : describe(builder));
  },
  use: async ([name], _parsed, io) => {
    if (name === undefined) throw usage(builderCommand, 'builder use needs a name');
    useBuilder(name, io.env);
    io.stdout.write(`builds run on ${name}\n`);
    await Promise.resolve();
  },
  rm: async (names, _parsed, io) => {
    if (names.length === 0) throw usage(builderCommand, 'builder rm needs a name');
    for (const name of names) removeBuilder(name, io.env);
    await Promise.resolve();
  },
  du: async ([name], parsed, io) => {
    const records = await builderDiskUsage(name ?? currentBuilder(io.env), { env: io.env, signal: io.signal });
    if (parsed.on('json')) {
      io.stdout.write(`${JSON.stringify(records, undefined, 2)}\n`);
      return;
    }
    const rows = records.map(({ node, size, inUse, type, description }) => [
      node,
      humanSize(size),
      inUse ? 'yes' : 'no',
      type,
      description,
    ]);
    io.stdout.write(table(['NODE', 'SIZE', 'IN USE', 'TYPE', 'WHAT'], rows));
    io.stdout.write(`total ${humanSize(records.reduce((sum, { size }) => sum + size, 0))}\n`);
  },
  prune: async ([name], parsed, io) => {
    const keep = parsed.text('keep');
    const removed = await pruneBuilder(name ?? currentBuilder(io.env), {
      env: io.env,
      signal: io.signal,
      all: parsed.on('all'),
      keepBytes: keep === undefined ? undefined : bytes(keep),
    });
    io.stdout.write(`removed ${removed.records} records, ${humanSize(removed.bytes)}\n`);
  },
};

export const builderCommand: Command = {
  name: 'builder',
  usage: `${Object.keys(ACTIONS).join('|')} [NAME] [URL...]`,
  summary:
    'Keeps names for BuildKit daemons (docs/engines.md). Those of docker buildx are listed and used too. `builder use embedded` is this machine again.',
  flags: [
    { name: 'all', help: 'prune: also what is internal or used by frontends' },
    { name: 'json', help: 'ls, inspect, du: as JSON' },
    { name: 'keep', value: 'SIZE', help: 'prune: keep this much, as 10g' },
    { name: 'platform', value: 'OS/ARCH', multiple: true, help: 'add: what the node is for (default: what it says)' },
    { name: 'use', help: 'add: build there from now on' },
  ],
  async run(parsed, io) {
    const [action, ...words] = parsed.positionals;
    const run = action !== undefined && Object.hasOwn(ACTIONS, action) ? ACTIONS[action] : undefined;
    if (run === undefined) {
      const known = Object.keys(ACTIONS).join(', ');
      throw usage(
        builderCommand,
        action === undefined ? `builder needs one of ${known}` : `builder does not know "${action}": ${known}`,
      );
    }
    await run(words, parsed, io);
    return 0;
  },
};

function mark(name: string, current: string): string {
  return name === current ? `${name} *` : name;
}

function describe({ name, from, nodes }: BuilderStatus): string {
  const lines = [`name      ${name}`, `kept by   ${from}`];
  for (const node of nodes) {
    lines.push(
      '',
      `node      ${node.name}`,
      `daemon    ${node.url}`,
      `status    ${node.error === undefined ? 'up' : `down: ${node.error}`}`,
    );
    if (node.version !== undefined) lines.push(`buildkit  ${node.version}`);
    if (node.platforms.length > 0) lines.push(`platforms ${node.platforms.join(', ')}`);
    if (node.builds !== undefined) lines.push(`builds    ${node.builds} under way`);
  }
  return `${lines.join('\n')}\n`;
}

function bytes(word: string): number {
  const match = /^(\d+)([bkmgt]?)b?$/i.exec(word);
  if (match === null) throw usage(builderCommand, `--keep takes a size as 10g, not "${word}"`);
  const unit = (match[2] ?? '').toLowerCase() as '' | 'b' | 'k' | 'm' | 'g' | 't';
  return Number(match[1]) * { '': 1, b: 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 }[unit];
}
