import { imageHistory, type HistoryItem } from '../../index.ts';
import { usage, type Command } from '../command.ts';
import { ago, humanSize, table } from '../table.ts';
import { FORMAT, PLATFORM, shortId } from './flags.ts';

/** Longer steps are cut in the table, as docker does. */
const STEP_LENGTH = 45;

export const historyCommand: Command = {
  name: 'history',
  usage: '[OPTIONS] IMAGE',
  summary: 'Shows the steps that made an image, the last first, with the compressed bytes that each added.',
  flags: [
    FORMAT,
    { name: 'human', short: 'H', help: 'Sizes and times for people (default); --human=false: bytes and times' },
    { name: 'json', help: 'As one JSON array' },
    { name: 'no-trunc', help: 'Do not shorten the steps' },
    PLATFORM,
    { name: 'quiet', short: 'q', help: 'Print only image IDs' },
  ],
  async run(parsed, io) {
    const [name, ...more] = parsed.positionals;
    if (name === undefined) throw usage(historyCommand, 'history needs an image');
    if (more.length > 0) throw usage(historyCommand, 'history takes one image');
    const items = await imageHistory(name, { env: io.env, platform: parsed.text('platform') });
    const format = parsed.text('format');
    if (parsed.on('json')) {
      io.stdout.write(`${JSON.stringify(items, undefined, 2)}\n`);
      return 0;
    }
    const isHuman = parsed.text('human') !== 'false';
    const rows = items.map((item) => fields(item, { isWhole: parsed.on('no-trunc'), isHuman }));
    if (parsed.on('quiet')) io.stdout.write(rows.map(({ ID }) => `${ID}\n`).join(''));
    else if (format !== undefined) {
      const { formatRows } = await import('../template/index.ts');
      io.stdout.write(formatRows(format, { heads: HEADS, rows }));
    } else {
      const cells = rows.map((row) => [
        row.ID,
        isHuman ? row.CreatedSince : row.CreatedAt,
        row.CreatedBy,
        row.Size,
        row.Comment,
      ]);
      io.stdout.write(table(['IMAGE', 'CREATED', 'CREATED BY', 'SIZE', 'COMMENT'], cells));
    }
    return 0;
  },
};

/** Docker's fields (docker/cli: command/formatter/history.go). */
const HEADS = {
  ID: 'IMAGE',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  CreatedBy: 'CREATED BY',
  Size: 'SIZE',
  Comment: 'COMMENT',
};

function fields(
  { id, created, createdBy, size, comment }: HistoryItem,
  { isWhole, isHuman }: { readonly isWhole: boolean; readonly isHuman: boolean },
): Readonly<Record<keyof typeof HEADS, string>> {
  const step = createdBy.replaceAll('\t', ' ');
  return {
    ID: id === undefined ? '<missing>' : isWhole ? id : shortId(id),
    CreatedSince: created === 0 ? 'N/A' : ago(created, Date.now()),
    CreatedAt: new Date(created).toISOString().replace(/\.\d+/, ''),
    CreatedBy: isWhole || step.length <= STEP_LENGTH ? step : `${step.slice(0, STEP_LENGTH - 1)}…`,
    Size: isHuman ? humanSize(size) : String(size),
    Comment: comment,
  };
}
