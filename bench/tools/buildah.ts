import { outputOf, runCommands } from '../process.ts';
import type { BuildRequest, Command, Tool } from '../types.ts';
import { wordsOf } from './buildkit.ts';

/** `buildah`, or what `BENCH_BUILDAH` says, with its cache of layers on and no limit of parallel stages. */
export async function buildah(): Promise<Tool | undefined> {
  const program = wordsOf(process.env['BENCH_BUILDAH'] ?? 'buildah');
  const version = await outputOf([...program, '--version']);
  if (version === undefined) return undefined;
  return {
    id: 'buildah',
    version,
    build: (request) => commandsFor(program, request),
    prune: async () => {
      await runCommands([{ argv: [...program, 'rmi', '--all', '--force'] }]);
    },
    daemons: () => [],
  };
}

function commandsFor(program: readonly [string, ...string[]], request: BuildRequest): readonly Command[] {
  const { context, dockerfile, output } = request;
  const name = output.kind === 'tag' || output.kind === 'push' ? output.name : 'localhost/bench:out';
  const build: Command = {
    argv: [
      ...program,
      ...['build', '--layers', '--jobs=0', '--network=host', '--tls-verify=false'],
      ...(dockerfile === undefined ? [] : ['-f', dockerfile]),
      ...['-t', name, context],
    ],
  };
  switch (output.kind) {
    case 'none':
    case 'tag':
      return [build];
    case 'oci': {
      const push = ['push', '-q', `--compression-format=${output.compression}`, name, `oci-archive:${output.dest}`];
      return [build, { argv: ['rm', '-f', output.dest] }, { argv: [...program, ...push] }];
    }
    case 'files':
      return [{ argv: [...build.argv, '--output', `type=local,dest=${output.dest}`] }];
    case 'push':
      return [build, { argv: [...program, 'push', '-q', '--tls-verify=false', name, `docker://${name}`] }];
  }
}
