import { diskUsage, storeProblems, verifyStore, type DiskUsage, type UsageItem, type UsageType } from '../index.ts';
import type { Command, Io } from './command.ts';
import { ago, humanSize, table } from './table.ts';

/** What the types are called in tables. */
export const TYPE_NAMES: Readonly<Record<UsageType, string>> = {
  image: 'Images',
  base: 'Base images',
  step: 'Steps',
  'cache-mount': 'Cache mounts',
  context: 'Contexts',
  files: 'Files',
  unused: 'Unused',
  records: 'Records',
};

const FORM_NAMES: Readonly<Record<keyof DiskUsage['forms'], string>> = {
  directories: 'directories of layers',
  blobs: 'blobs',
  trees: 'trees of layers',
  files: 'single files',
  cacheMounts: 'cache mounts',
  other: 'database and other',
};

/** Signs of a step shown in tables. */
const DESCRIPTION = 60;
/** Hex digits of a step's key shown in tables. */
const SHORT_ID = 12;

export const duCommand: Command = {
  name: 'du',
  usage: '[OPTIONS]',
  summary: 'Shows what takes room in the local store, and what of it prune would free.',
  flags: [
    { name: 'filter', value: 'KEY=VALUE', multiple: true, help: 'With --verbose: only these items, as of prune' },
    { name: 'json', help: 'As JSON' },
    { name: 'verbose', short: 'v', help: 'Every image, step, cache mount and context' },
    { name: 'verify', help: 'Check instead that all that should be there is there; exit code 5 when not' },
    { name: 'deep', help: 'With --verify: read every blob, compare every directory' },
  ],
  async run(parsed, io) {
    if (parsed.on('verify')) return await verify(parsed.on('deep'), parsed.on('json'), io);
    const usage = await diskUsage({ env: io.env, filters: parsed.list('filter') });
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(usage, undefined, 2)}\n`);
    else if (parsed.on('verbose') || parsed.list('filter').length > 0) io.stdout.write(itemTable(usage.items, usage));
    else io.stdout.write(summary(usage));
    return 0;
  },
};

function summary(usage: DiskUsage): string {
  const bound = usage.bound === Number.POSITIVE_INFINITY ? 'without bound' : `may take ${humanSize(usage.bound)}`;
  const rows = Object.entries(TYPE_NAMES).map(([type, name]) => {
    const { count, size, reclaimable } = usage.types[type as UsageType];
    return [name, String(count), humanSize(size), humanSize(reclaimable)];
  });
  const forms = Object.entries(FORM_NAMES)
    .map(([form, name]) => `${name} ${humanSize(usage.forms[form as keyof DiskUsage['forms']])}`)
    .join(', ');
  return [
    table(['TYPE', 'COUNT', 'SIZE', 'RECLAIMABLE'], rows),
    `\nTotal:        ${humanSize(usage.total)}  (${forms})\n`,
    `Cache:        ${humanSize(usage.cache)}  (all but what named images need; ${bound})\n`,
    `Reclaimable:  ${humanSize(usage.reclaimable)}\n`,
  ].join('');
}

export function itemTable(items: readonly UsageItem[], usage: DiskUsage | undefined): string {
  const rows = [...items]
    .sort((a, b) => b.size - a.size)
    .map((item) => [
      item.type,
      item.type === 'image' || item.type === 'base' ? '' : item.id.replace(/^r\d+-/, '').slice(0, SHORT_ID),
      shorten(item.type === 'image' || item.type === 'base' ? item.id : item.description),
      humanSize(item.size),
      humanSize(item.reclaimable),
      ago(item.used, Date.now()),
      item.project ?? '',
      item.inUse ? 'in use' : item.shared ? 'shared' : '',
    ]);
  const head = ['TYPE', 'ID', 'WHAT', 'SIZE', 'ALONE', 'LAST USED', 'PROJECT', ''];
  const total = usage === undefined ? '' : `\nTotal: ${humanSize(usage.total)}, cache: ${humanSize(usage.cache)}\n`;
  return `${table(head, rows)}${total}`;
}

function shorten(text: string): string {
  return text.length <= DESCRIPTION ? text : `${text.slice(0, DESCRIPTION - 1)}…`;
}

async function verify(deep: boolean, json: boolean, io: Io): Promise<number> {
  const report = await verifyStore({ env: io.env, deep });
  if (json) io.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
  const error = storeProblems(report);
  if (error !== undefined) throw error;
  if (json) return 0;
  const { images, records, layers, blobs, leftovers } = report;
  io.stdout.write(`All is there: ${images} images, ${records} steps, ${layers} layers, ${blobs} blobs.\n`);
  if (leftovers.length > 0)
    io.stdout.write(`${leftovers.length} leftovers of ended processes go with the next prune.\n`);
  return 0;
}
