/** What a file offers: its targets, and the arguments, secrets and caches of one (BuildKit: frontend/subrequests). */
import type { SourceRange } from '../contracts/index.ts';
import type { ArgInstruction, Dockerfile, Word } from '../dockerfile/index.ts';
import { cleanPath } from '../pattern/index.ts';
import { offlineView } from './checks/offline-view.ts';
import { stepMounts, stepsOf } from './checks/view.ts';
import type { BuildView, StageView } from './checks/view.ts';
import { setEnv } from './env.ts';
import type { Env } from './env.ts';
import { buildArg } from './global-args.ts';
import { normalizePlatform } from './platform.ts';
import type { FrontendOptions } from './types.ts';
import { expandText } from './words.ts';

/** A stage as something to build. */
export interface TargetInfo {
  /** Undefined for a stage without a name. */
  readonly name: string | undefined;
  /** What is built without `--target`. */
  readonly isDefault: boolean;
  /** From a comment above FROM that begins with the name. */
  readonly description: string | undefined;
  /** As written. */
  readonly base: string;
  readonly platform: string | undefined;
  readonly range: SourceRange;
}

/** The stages of a file, in its order. */
export function listTargets({ stages }: Dockerfile): readonly TargetInfo[] {
  return stages.map(({ name, from, index }) => ({
    name,
    isDefault: index === stages.length - 1,
    description: describe(from.comments, name),
    base: from.image.text,
    platform: from.platform?.text,
    range: from.range,
  }));
}

/** A build argument; the value is that of `--build-arg`, else the default. */
export interface ArgInfo {
  readonly name: string;
  readonly value: string | undefined;
  readonly description: string | undefined;
  readonly range: SourceRange;
}

/** A secret or SSH agent that a RUN mounts. */
export interface MountInfo {
  readonly id: string;
  readonly required: boolean;
  readonly range: SourceRange;
}

export interface Outline {
  /** Of the target; undefined when it has none. */
  readonly name: string | undefined;
  readonly description: string | undefined;
  readonly args: readonly ArgInfo[];
  readonly secrets: readonly MountInfo[];
  readonly ssh: readonly MountInfo[];
  readonly caches: readonly MountInfo[];
}

/**
 * What the target and the stages that it needs take, by place in the file. No image is asked for.
 *
 * @throws BuildError `dockerfile`, `stage`
 */
export function outlineOf(dockerfile: Dockerfile, given: FrontendOptions): Outline {
  const options: FrontendOptions = {
    ...given,
    targetPlatform: normalizePlatform(given.targetPlatform),
    buildPlatform: normalizePlatform(given.buildPlatform),
  };
  const view = offlineView({ dockerfile, options, allStages: false });
  const { name, from } = view.target.node.stage;
  return { name, description: describe(from.comments, name), args: argsOf(view), ...mountsOf(view) };
}

/** The text after the name, of the first comment line that begins with it. */
function describe(comments: readonly Word[], name: string | undefined): string | undefined {
  if (name === undefined || name === '') return undefined;
  return comments.find(({ text }) => text.startsWith(`${name} `))?.text.slice(name.length + 1);
}

function argsOf(view: BuildView): readonly ArgInfo[] {
  const globals = globalArgInfos(view);
  const found = new Map<string, ArgInfo>();
  for (const stage of view.stages) {
    const own = stageArgInfos(stage, view);
    const used = new Set([
      ...namesInFrom(stage, view),
      ...[...stepsOf([stage], 'ARG')].flatMap(({ instruction }) => argNames(instruction)),
    ]);
    for (const name of withDependencies(used, globals)) {
      const info = own.get(name) ?? globals.get(name)?.info;
      if (info !== undefined && !found.has(name)) found.set(name, info);
    }
  }
  return byPlace([...found.values()]);
}

function argNames({ args }: ArgInstruction): readonly string[] {
  return args.map(({ key }) => key.text);
}

interface GlobalArg {
  readonly info: ArgInfo;
  /** Names that its default uses. */
  readonly uses: ReadonlySet<string>;
}

function globalArgInfos({ dockerfile, globals, options }: BuildView): ReadonlyMap<string, GlobalArg> {
  const infos = new Map<string, GlobalArg>();
  for (const { args, comments, range } of dockerfile.globalArgs) {
    for (const { key, value } of args) {
      const given = buildArg(options, key.text);
      const uses =
        given !== undefined || value === undefined
          ? new Set<string>()
          : expandText(value.text, globals, { escape: dockerfile.escape }, undefined).matched;
      const info = {
        name: key.text,
        value: given ?? globals.get(key.text),
        description: describe(comments, key.text),
        range,
      };
      infos.set(key.text, { info, uses });
    }
  }
  return infos;
}

function withDependencies(names: Iterable<string>, globals: ReadonlyMap<string, GlobalArg>): ReadonlySet<string> {
  const all = new Set(names);
  // A set that grows while it is walked is walked to its end.
  for (const name of all) for (const used of globals.get(name)?.uses ?? []) all.add(used);
  return all;
}

/** Those that say more than the global scope does. */
function stageArgInfos(stage: StageView, { options, globals, dockerfile }: BuildView): ReadonlyMap<string, ArgInfo> {
  const infos = new Map<string, ArgInfo>();
  for (const { instruction, env: before } of stepsOf([stage], 'ARG')) {
    let env: Env = before;
    for (const { key, value: fallback } of instruction.args) {
      const name = key.text;
      const given = buildArg(options, name);
      const value =
        given ??
        (fallback === undefined
          ? undefined
          : expandText(fallback.text, env, { escape: dockerfile.escape }, undefined).text);
      if (value !== undefined) env = setEnv(env, name, value);
      if (value === undefined && globals.has(name)) continue;
      infos.set(name, { name, value, description: describe(instruction.comments, name), range: instruction.range });
    }
  }
  return infos;
}

function namesInFrom({ node }: StageView, { globals, dockerfile }: BuildView): readonly string[] {
  const { image, platform } = node.stage.from;
  return [image, platform].flatMap((word) =>
    word === undefined ? [] : [...expandText(word.text, globals, { escape: dockerfile.escape }, undefined).matched],
  );
}

function mountsOf(view: BuildView): Pick<Outline, 'secrets' | 'ssh' | 'caches'> {
  const secrets = new Map<string, MountInfo>();
  const ssh = new Map<string, MountInfo>();
  const caches = new Map<string, MountInfo>();
  const add = (to: Map<string, MountInfo>, id: string, required: boolean, range: SourceRange): void => {
    const known = to.get(id);
    to.set(id, known === undefined ? { id, required, range } : { ...known, required: known.required || required });
  };
  for (const step of stepsOf(view.stages, 'RUN')) {
    for (const mount of stepMounts(step, view)) {
      if (mount.type === 'secret') add(secrets, mount.id, mount.required, step.range);
      if (mount.type === 'ssh') add(ssh, mount.id ?? 'default', mount.required, step.range);
      if (mount.type === 'cache') add(caches, mount.id ?? cleanPath(mount.target), false, step.range);
    }
  }
  return {
    secrets: byPlace([...secrets.values()]),
    ssh: byPlace([...ssh.values()]),
    caches: byPlace([...caches.values()]),
  };
}

function byPlace<T extends { readonly range: SourceRange }>(infos: readonly T[]): readonly T[] {
  return [...infos].sort((a, b) => a.range.start.line - b.range.start.line);
}
