/**
 * Builders: names for BuildKit daemons. Ours are kept in a file of the user's; those of `docker buildx` are read where it
 * keeps them, and never changed.
 */
import { existsSync, mkdirSync, readdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import { homedir } from 'node:os';
import { dirname, join } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import { buildxBuilder } from './buildx.ts';
import type { Builder, BuilderNode } from './types.ts';

type Env = Readonly<Record<string, string | undefined>>;

/** The engine of this machine, as a name for `builder use` and `--builder`. */
export const EMBEDDED = 'embedded';

interface BuildersFile {
  readonly current?: string | undefined;
  readonly builders?: Readonly<Record<string, { readonly nodes: readonly BuilderNode[] }>> | undefined;
}

/** Letters first, so that no name is taken for a flag or a URL. */
const NAME = /^[a-zA-Z][a-zA-Z0-9._-]*$/;

/**
 * Where a build runs; undefined = here. In this order: `builder` (a name or URL), SLIPWAY_ENGINE, the builder in use;
 * where there is no Linux, the daemon that is found.
 *
 * @throws BuildError `usage`, `builder`
 */
export function chooseBuilder(
  builder: string | undefined,
  env: Env,
  platform: NodeJS.Platform = process.platform,
): Builder | undefined {
  if (builder !== undefined) return builder === EMBEDDED ? undefined : findBuilder(builder, env);
  const engine = env['SLIPWAY_ENGINE'] ?? '';
  if (engine === EMBEDDED) return undefined;
  if (engine !== '' && engine !== 'buildkit') {
    throw new BuildError({
      code: 'usage',
      message: `SLIPWAY_ENGINE is "${engine}"`,
      hint: 'it is "embedded" (this machine) or "buildkit" (a daemon)',
    });
  }
  const { current } = readBuilders(env);
  if (current !== undefined && current !== EMBEDDED) return findBuilder(current, env);
  return engine === 'buildkit' || platform !== 'linux' ? daemonHere(env, platform) : undefined;
}

/** A builder by its name, or by the URL of its one daemon. @throws BuildError `usage` when there is none */
export function findBuilder(word: string, env: Env): Builder {
  if (word.includes('://')) return { name: word, from: 'host', nodes: [{ name: word, url: word, platforms: [] }] };
  const own = readBuilders(env).builders?.[word];
  if (own !== undefined) return { name: word, from: 'slipway', nodes: own.nodes };
  const other = buildxBuilders(env).find(({ name }) => name === word);
  if (other !== undefined) return other;
  if (word === 'docker' || word === 'default') return dockerBuilder(word);
  const names = listBuilders(env).map(({ name }) => name);
  throw new BuildError({
    code: 'usage',
    message: `there is no builder ${word}`,
    hint: `there are ${[EMBEDDED, ...names].join(', ')}; add one by: slipway builder add NAME URL`,
  });
}

/** Every builder that is known, ours first. */
export function listBuilders(env: Env): readonly Builder[] {
  const own = Object.entries(readBuilders(env).builders ?? {}).map(([name, { nodes }]): Builder => ({
    name,
    from: 'slipway',
    nodes,
  }));
  const names = new Set(own.map(({ name }) => name));
  const found = [...buildxBuilders(env), ...(hasDocker(env) ? [dockerBuilder('docker')] : [])];
  return [...own, ...found.filter(({ name }) => !names.has(name))];
}

/** The builder in use; `embedded` when none was chosen. */
export function currentBuilder(env: Env): string {
  return chooseBuilder(undefined, env)?.name ?? EMBEDDED;
}

/** Adds a builder, or nodes to one of ours. @throws BuildError `usage` */
export function addBuilder(name: string, nodes: readonly Omit<BuilderNode, 'name'>[], env: Env): Builder {
  if (!NAME.test(name) || name === EMBEDDED || name === 'docker') {
    throw new BuildError({
      code: 'usage',
      message: `a builder cannot be called ${JSON.stringify(name)}`,
      hint: 'names begin with a letter; letters, digits and .-_ follow',
    });
  }
  const file = readBuilders(env);
  const before = file.builders?.[name]?.nodes ?? [];
  const added = nodes.filter(({ url }) => !before.some((node) => node.url === url));
  const all = [...before, ...added.map((node, i) => ({ name: `${name}${before.length + i}`, ...node }))];
  writeBuilders({ ...file, builders: { ...file.builders, [name]: { nodes: all } } }, env);
  return { name, from: 'slipway', nodes: all };
}

/** Makes a builder the default of later builds. @throws BuildError `usage` */
export function useBuilder(name: string, env: Env): void {
  if (name !== EMBEDDED) findBuilder(name, env);
  writeBuilders({ ...readBuilders(env), current: name === EMBEDDED ? undefined : name }, env);
}

/** Forgets a builder of ours; its daemons run on. @throws BuildError `usage` */
export function removeBuilder(name: string, env: Env): void {
  const file = readBuilders(env);
  if (file.builders?.[name] === undefined) {
    const builder = findBuilder(name, env);
    throw new BuildError({
      code: 'usage',
      message: `${name} is not ours to remove`,
      hint: builder.from === 'buildx' ? `use: docker buildx rm ${name}` : 'it is there as long as its daemon is',
    });
  }
  const builders = Object.fromEntries(Object.entries(file.builders).filter(([other]) => other !== name));
  writeBuilders({ current: file.current === name ? undefined : file.current, builders }, env);
}

/** Whether a daemon can be named without being told: BUILDKIT_HOST, then Docker, then BuildKit's own socket. */
function daemonHere(env: Env, platform: NodeJS.Platform): Builder {
  const host = env['BUILDKIT_HOST'] ?? '';
  if (host !== '') return findBuilder(host, env);
  if (hasDocker(env) || platform !== 'linux') return dockerBuilder('docker');
  if (existsSync('/run/buildkit/buildkitd.sock')) return findBuilder('unix:///run/buildkit/buildkitd.sock', env);
  throw new BuildError({
    code: 'builder',
    message: 'no BuildKit daemon is found on this machine',
    hint: 'set BUILDKIT_HOST or DOCKER_HOST, or name one: slipway builder add NAME URL',
  });
}

function hasDocker(env: Env): boolean {
  return Boolean(env['DOCKER_HOST']) || existsSync('/var/run/docker.sock');
}

function dockerBuilder(name: string): Builder {
  return { name, from: 'host', nodes: [{ name, url: 'docker://', platforms: [] }] };
}

function buildxBuilders(env: Env): readonly Builder[] {
  const docker = env['DOCKER_CONFIG'] || join(env['HOME'] ?? homedir(), '.docker');
  const directory = join(env['BUILDX_CONFIG'] || join(docker, 'buildx'), 'instances');
  let names: readonly string[];
  try {
    names = readdirSync(directory);
  } catch {
    return [];
  }
  return names
    .filter((name) => NAME.test(name))
    .sort()
    .flatMap((name) => {
      try {
        return buildxBuilder(readFileSync(join(directory, name), 'utf8')) ?? [];
      } catch {
        return []; // being written, or not of a kind that we know
      }
    });
}

function fileOf(env: Env): string {
  const config = env['SLIPWAY_CONFIG'];
  if (config !== undefined && config !== '') return join(config, 'builders.json');
  const base = env['XDG_CONFIG_HOME'] || join(env['HOME'] ?? homedir(), '.config');
  return join(base, 'slipway', 'builders.json');
}

function readBuilders(env: Env): BuildersFile {
  const file = fileOf(env);
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code === 'ENOENT' || code === 'ENOTDIR') return {};
    throw new BuildError({ code: 'usage', message: `${file} cannot be read (${code ?? 'error'})`, cause: error });
  }
  try {
    return JSON.parse(text) as BuildersFile;
  } catch (error) {
    throw new BuildError({
      code: 'usage',
      message: `${file} is damaged`,
      hint: 'remove it, and add the builders again: slipway builder add NAME URL',
      cause: error,
    });
  }
}

function writeBuilders(content: BuildersFile, env: Env): void {
  const file = fileOf(env);
  try {
    mkdirSync(dirname(file), { recursive: true });
    const temporary = `${file}.${process.pid}`;
    writeFileSync(temporary, `${JSON.stringify(content, undefined, 2)}\n`);
    renameSync(temporary, file);
  } catch (error) {
    throw new BuildError({
      code: 'permission',
      message: `${file} cannot be written: ${(error as Error).message}`,
      hint: 'SLIPWAY_CONFIG names another directory for it',
      cause: error,
    });
  }
}
