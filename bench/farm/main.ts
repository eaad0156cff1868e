/**
 * Writes the tables of docs/scale.md from the model of a farm.
 *
 *     node bench/farm/main.ts            shows them
 *     node bench/farm/main.ts --write    puts them into the page; --check only says whether it has them
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { ASSUMPTIONS, simulate, type Farm, type Outcome } from './model.ts';

const PAGE = new URL('../../docs/scale.md', import.meta.url);
const USUAL: Farm = {
  buildsPerDay: 5000,
  nodes: 10,
  routing: 'hash',
  losses: 0,
  keepsDisk: true,
  registryCache: true,
};

type Row = readonly [string, Partial<Farm>];

const ROUTING: readonly Row[] = [
  ['by repository, unless busy (`assignPlatforms`)', {}],
  ['to the idlest node', { routing: 'idlest' }],
  ['to any node', { routing: 'random' }],
  ['by repository, no registry cache', { registryCache: false }],
  ['to any node, no registry cache', { routing: 'random', registryCache: false }],
];
const LOAD: readonly Row[] = [1000, 2500, 5000, 10_000, 15_000, 20_000, 25_000, 30_000].map((buildsPerDay) => [
  `${buildsPerDay}`,
  { buildsPerDay },
]);
const LOSS: readonly Row[] = [
  ['never', {}],
  ['once a day, disk kept', { losses: 1 }],
  ['once a day, disk lost', { losses: 1, keepsDisk: false }],
  ['four times a day, disk kept', { losses: 4 }],
  ['four times a day, disk lost', { losses: 4, keepsDisk: false }],
  ['four times a day, disk lost, no registry cache', { losses: 4, keepsDisk: false, registryCache: false }],
];

const COLUMNS: readonly (readonly [string, (outcome: Outcome) => string])[] = [
  ['median', ({ median }) => seconds(median)],
  ['95th', ({ p95 }) => seconds(p95)],
  ['cache on the node', ({ local }) => percent(local)],
  ['slots busy', ({ busy }) => percent(busy)],
  ['from the registry cache a day', ({ fetched }) => `${(fetched / 1e12).toFixed(2)} TB`],
  ['begun again', ({ repeated }) => String(repeated)],
  ['node hours per 1000', ({ nodeHoursPerThousand }) => nodeHoursPerThousand.toFixed(0)],
];

function seconds(value: number): string {
  if (!Number.isFinite(value)) return 'never';
  return value < 600 ? `${value.toFixed(0)} s` : `${(value / 60).toFixed(0)} min`;
}

function percent(value: number): string {
  return `${(100 * value).toFixed(0)}%`;
}

function table(title: string, rows: readonly Row[]): string {
  const lines = rows.map(([name, change]) => {
    const outcome = simulate({ ...USUAL, ...change });
    return `| ${[name, ...COLUMNS.map(([, cell]) => cell(outcome))].join(' | ')} |`;
  });
  const head = [title, ...COLUMNS.map(([name]) => name)];
  return [`| ${head.join(' | ')} |`, `| ${head.map(() => '---').join(' | ')} |`, ...lines].join('\n');
}

/** All tables, as they stand in the page. */
export function tables(): string {
  return [
    `Ten nodes of ${ASSUMPTIONS.slots} slots, 5000 builds a day:`,
    table('routing', ROUTING),
    'The same farm under more and less load, routed by repository:',
    table('builds a day', LOAD),
    '5000 builds a day while nodes are lost:',
    table('each node is lost', LOSS),
  ].join('\n\n');
}

const MARKED = /(?<=<!-- tables -->\n)[^]*(?=<!-- end of tables -->)/;

if (import.meta.main) {
  const text = `\n${tables()}\n\n`;
  const page = process.argv.length > 2 ? readFileSync(PAGE, 'utf8') : '';
  if (process.argv.includes('--write'))
    writeFileSync(
      PAGE,
      page.replace(MARKED, () => text),
    );
  else if (!process.argv.includes('--check')) process.stdout.write(text);
  else if (MARKED.exec(page)?.[0] !== text) {
    throw new Error('the tables of docs/scale.md are old: run node bench/farm/main.ts --write');
  }
}
