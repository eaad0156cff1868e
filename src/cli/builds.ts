import { listBuilds, type BuildListItem } from '../index.ts';
import type { Command } from './command.ts';
import { ago, table } from './table.ts';

export const buildsCommand: Command = {
  name: 'builds',
  usage: '[OPTIONS]',
  summary: 'Lists the builds that are remembered, the newest first. The last 200 are.',
  flags: [
    { name: 'json', help: 'As JSON' },
    { name: 'quiet', short: 'q', help: 'Print only ids' },
  ],
  async run(parsed, io) {
    const builds = await listBuilds({ env: io.env });
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(builds, undefined, 2)}\n`);
    else if (parsed.on('quiet')) io.stdout.write(builds.map(({ id }) => `${id}\n`).join(''));
    else
      io.stdout.write(
        table(['BUILD', 'CREATED', 'DURATION', 'RESULT', 'RAN', 'CACHED', 'TARGET', 'CONTEXT'], builds.map(row)),
      );
    return 0;
  },
};

function row(build: BuildListItem): readonly string[] {
  return [
    build.id,
    ago(build.created, Date.now()),
    `${(build.duration / 1000).toFixed(build.duration < 10_000 ? 2 : 1)}s`,
    build.result,
    String(build.ran),
    String(build.cached),
    build.target ?? '(last)',
    build.context,
  ];
}
