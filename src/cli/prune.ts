import { prune, type UsageItem } from '../index.ts';
import { usage, type Command } from './command.ts';
import { itemTable, TYPE_NAMES } from './du.ts';
import { humanSize } from './table.ts';

export const pruneCommand: Command = {
  name: 'prune',
  usage: '[OPTIONS]',
  summary:
    'Removes cached steps, pulled bases, cache mounts and what nothing needs. Images with a name and what running builds use stay.',
  flags: [
    { name: 'all', short: 'a', help: 'Also steps whose files an image needs anyway' },
    { name: 'dry-run', help: 'Only show what would go' },
    {
      name: 'filter',
      value: 'KEY=VALUE',
      multiple: true,
      help: 'Only what matches: type, id, description, shared, until',
    },
    { name: 'force', short: 'f', help: 'Accepted: prune never asks' },
    { name: 'json', help: 'As JSON' },
    { name: 'keep-storage', value: 'SIZE', help: 'Stop when the cache is no larger: 10GB, 20%' },
    { name: 'project', value: 'DIR|ID', help: 'Only what was built for this context' },
    { name: 'until', value: 'TIME', help: 'Only what was not used since: 24h, 7d, 2026-01-31' },
    { name: 'verbose', short: 'v', help: 'Show every item' },
  ],
  async run(parsed, io) {
    if (parsed.positionals.length > 0) throw usage(pruneCommand, 'prune takes no arguments');
    const dryRun = parsed.on('dry-run');
    const report = await prune({
      env: io.env,
      cwd: io.cwd,
      signal: io.signal,
      all: parsed.on('all'),
      dryRun,
      filters: parsed.list('filter'),
      keepStorage: parsed.text('keep-storage'),
      until: parsed.text('until'),
      project: parsed.text('project'),
      onWait: (message) => void io.stderr.write(`${message}\n`),
    });
    if (parsed.on('json')) {
      io.stdout.write(`${JSON.stringify(report, undefined, 2)}\n`);
      return 0;
    }
    if (parsed.on('verbose') || dryRun) io.stdout.write(`${itemTable(report.removed, undefined)}\n`);
    const what = counts(report.removed);
    io.stdout.write(what === '' ? '' : `${dryRun ? 'Would remove' : 'Removed'}: ${what}\n`);
    io.stdout.write(`${dryRun ? 'Would free' : 'Freed'}: ${humanSize(report.freed)}\n`);
    return 0;
  },
};

/** `3 steps, 1 cache mounts`. */
function counts(items: readonly UsageItem[]): string {
  return Object.entries(TYPE_NAMES)
    .flatMap(([type, name]) => {
      const count = items.filter((item) => item.type === type).length;
      return count === 0 ? [] : [`${count} ${count === 1 ? name.toLowerCase().replace(/s$/, '') : name.toLowerCase()}`];
    })
    .join(', ');
}
