import { listImages, type ImageListItem } from '../../index.ts';
import { usage, type Command } from '../command.ts';
import { ago, humanSize, table } from '../table.ts';
import { FORMAT, shortId } from './flags.ts';

export const imagesCommand: Command = {
  name: 'images',
  usage: '[OPTIONS] [NAME[:TAG]]',
  summary:
    'Lists the images that were built, pulled or loaded into the local store. Sizes are of the compressed layers.',
  flags: [
    { name: 'all', short: 'a', help: 'Base images that builds pulled, too' },
    { name: 'digests', help: 'Show digests of manifests' },
    {
      name: 'filter',
      short: 'f',
      value: 'KIND=VALUE',
      multiple: true,
      help: 'Only those with reference=PATTERN, label=KEY[=VALUE], before=IMAGE, since=IMAGE, until=TIME, dangling=true',
    },
    FORMAT,
    { name: 'json', help: 'As one JSON array' },
    { name: 'no-trunc', help: 'Do not shorten IDs' },
    { name: 'quiet', short: 'q', help: 'Print only image IDs' },
  ],
  async run(parsed, io) {
    const [name, ...more] = parsed.positionals;
    if (more.length > 0)
      throw usage(imagesCommand, 'images takes one name; --filter reference= may be given several times');
    const filters = parsed.list('filter');
    const images = await listImages({ env: io.env, pulled: parsed.on('all'), name, filters });
    const idOf = ({ id }: ImageListItem): string => (parsed.on('no-trunc') ? id : shortId(id));
    const format = parsed.text('format');
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(images, undefined, 2)}\n`);
    else if (parsed.on('quiet')) io.stdout.write([...new Set(images.map(idOf))].map((id) => `${id}\n`).join(''));
    else if (format !== undefined) {
      const { formatRows } = await import('../template/index.ts');
      io.stdout.write(formatRows(format, { heads: HEADS, rows: images.map((image) => fields(image, idOf(image))) }));
    } else {
      const digests = parsed.on('digests');
      const head = ['REPOSITORY', 'TAG', ...(digests ? ['DIGEST'] : []), 'IMAGE ID', 'CREATED', 'SIZE'];
      const rows = images.map((image) => [
        image.repository,
        image.tag,
        ...(digests ? [image.digest] : []),
        idOf(image),
        ago(image.created, Date.now()),
        humanSize(image.size),
      ]);
      io.stdout.write(table(head, rows));
    }
    return 0;
  },
};

/** Docker's fields (docker/cli: command/formatter/image.go). */
const HEADS = {
  ID: 'IMAGE ID',
  Repository: 'REPOSITORY',
  Tag: 'TAG',
  Digest: 'DIGEST',
  CreatedSince: 'CREATED',
  CreatedAt: 'CREATED AT',
  Size: 'SIZE',
  Platforms: 'PLATFORMS',
};

function fields(image: ImageListItem, id: string): Readonly<Record<keyof typeof HEADS, string>> {
  return {
    ID: id,
    Repository: image.repository,
    Tag: image.tag,
    Digest: image.digest,
    CreatedSince: ago(image.created, Date.now()),
    CreatedAt: goTime(image.created),
    Size: humanSize(image.size),
    Platforms: image.platforms.join(','),
  };
}

/** `2026-01-31 12:00:00 +0000 UTC`, as Go prints a time. */
function goTime(time: number): string {
  return `${new Date(time).toISOString().slice(0, 19).replace('T', ' ')} +0000 UTC`;
}
