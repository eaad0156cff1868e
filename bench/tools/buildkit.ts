import { processesNamed } from '../memory.ts';
import { outputOf, runCommands } from '../process.ts';
import type { BuildRequest, Command, Output, Tool } from '../types.ts';
import { dirname } from 'node:path';

/** `buildctl` where it is on PATH (`BUILDKIT_HOST` says where the daemon is), else docker's buildx. */
export async function buildkit(): Promise<Tool | undefined> {
  return (await throughBuildctl()) ?? (await throughBuildx());
}

async function throughBuildctl(): Promise<Tool | undefined> {
  const program = wordsOf(process.env['BENCH_BUILDCTL'] ?? 'buildctl');
  const version = await outputOf([...program, '--version']);
  if (version === undefined) return undefined;
  if ((await outputOf([...program, 'debug', 'workers'])) === undefined) return undefined;
  return {
    id: 'buildkit',
    version: `BuildKit: ${version}`,
    build: (request) => [{ argv: [...program, ...buildctlWords(request)] }],
    prune: async () => {
      await runCommands([{ argv: [...program, 'prune', '--all'] }]);
    },
    daemons: () => processesNamed(new Set(['buildkitd'])),
  };
}

function buildctlWords({ context, dockerfile, output }: BuildRequest): readonly string[] {
  const outputs: Readonly<Record<Output['kind'], () => readonly string[]>> = {
    none: () => [],
    tag: () => ['--output', `type=image,name=${output.kind === 'tag' ? output.name : ''}`],
    oci: () =>
      output.kind === 'oci' ? ['--output', `type=oci,dest=${output.dest},compression=${output.compression}`] : [],
    files: () => (output.kind === 'files' ? ['--output', `type=local,dest=${output.dest}`] : []),
    push: () => (output.kind === 'push' ? ['--output', `type=image,push=true,name=${output.name}`] : []),
  };
  return [
    ...['build', '--progress=plain', '--frontend=dockerfile.v0', '--local', `context=${context}`],
    ...['--local', `dockerfile=${dockerfile === undefined ? context : dirname(dockerfile)}`],
    ...(dockerfile === undefined ? [] : ['--opt', `filename=${dockerfile.slice(dirname(dockerfile).length + 1)}`]),
    ...['--allow=network.host', '--opt', 'force-network-mode=host'],
    ...outputs[output.kind](),
  ];
}

/**
 * Docker with buildx. `BENCH_BUILDX` names the plugin's program itself, which spares it the start of `docker`; else it is
 * `docker buildx`, `docker` being `BENCH_DOCKER`.
 */
async function throughBuildx(): Promise<Tool | undefined> {
  const docker = wordsOf(process.env['BENCH_DOCKER'] ?? 'docker');
  const own = process.env['BENCH_BUILDX'];
  const program: readonly [string, ...string[]] = own === undefined ? [...docker, 'buildx'] : wordsOf(own);
  const version = await outputOf([...program, 'version']);
  const server = await outputOf([...docker, 'version', '--format', '{{.Server.Version}}']);
  if (version === undefined || server === undefined) return undefined;
  return {
    id: 'buildkit',
    version: `BuildKit in Docker ${server}, ${version}`,
    build: (request) => [{ argv: [...program, 'build', '--progress=plain', ...buildxWords(request)] }],
    prune: async () => {
      const commands: Command[] = [
        { argv: [...docker, 'image', 'prune', '--all', '--force'] },
        { argv: [...program, 'prune', '--all', '--force'] },
      ];
      await runCommands(commands);
    },
    daemons: () => processesNamed(new Set(['dockerd', 'containerd'])),
  };
}

function buildxWords({ context, dockerfile, output }: BuildRequest): readonly string[] {
  return [
    // Without the attestation that buildx adds by itself: nobody else makes one.
    ...['--network=host', '--provenance=false', ...(dockerfile === undefined ? [] : ['-f', dockerfile])],
    ...buildxOutput(output),
    context,
  ];
}

function buildxOutput(output: Output): readonly string[] {
  switch (output.kind) {
    case 'none':
      return ['--output', 'type=cacheonly'];
    case 'tag':
      return ['--tag', output.name];
    case 'oci':
      return ['--output', `type=oci,dest=${output.dest},compression=${output.compression}`];
    case 'files':
      return ['--output', `type=local,dest=${output.dest}`];
    case 'push':
      return ['--push', '--tag', output.name];
  }
}

/** A command given in the environment, split at spaces. */
export function wordsOf(text: string): readonly [string, ...string[]] {
  const [first = '', ...rest] = text.split(' ').filter((word) => word !== '');
  return [first, ...rest];
}
