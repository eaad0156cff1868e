import { BuildError } from '../contracts/index.ts';
import type { Dockerfile } from '../dockerfile/index.ts';
import type { Platform } from '../llb/index.ts';
import { EMPTY_ENV, setEnv } from './env.ts';
import type { Env } from './env.ts';
import { formatPlatform } from './platform.ts';
import type { FrontendOptions } from './types.ts';
import { expandText } from './words.ts';

/**
 * The global scope: the platform arguments, then every ARG before the first FROM. `--build-arg` goes before a default;
 * arguments without a value are not set. FROM sees these, a stage only those that it declares again.
 */
export function globalArgs(dockerfile: Dockerfile, options: FrontendOptions): Env {
  let env = platformArgs(options, targetStageName(dockerfile, options));
  for (const { args } of dockerfile.globalArgs) {
    for (const { key, value } of args) {
      const given = buildArg(options, key.text);
      if (given !== undefined) env = setEnv(env, key.text, given);
      else if (value !== undefined) {
        const location = { file: dockerfile.file, ranges: [value.range] };
        env = setEnv(env, key.text, expandText(value.text, env, { escape: dockerfile.escape }, location).text);
      }
    }
  }
  return env;
}

/** The value of `--build-arg name`, which may be empty; undefined when it is not given. */
export function buildArg(options: Pick<FrontendOptions, 'buildArgs'>, name: string): string | undefined {
  return Object.hasOwn(options.buildArgs, name) ? options.buildArgs[name] : undefined;
}

/**
 * Seconds of SOURCE_DATE_EPOCH, from `--build-arg` or a global ARG; empty is none.
 *
 * @throws BuildError `usage` when it is no number.
 */
export function sourceDateEpoch(options: FrontendOptions, globals: Env): number | undefined {
  const text = buildArg(options, 'SOURCE_DATE_EPOCH') ?? globals.get('SOURCE_DATE_EPOCH') ?? '';
  if (text === '') return undefined;
  const seconds = Number(text);
  if (!/^[+-]?\d+$/.test(text) || !Number.isSafeInteger(seconds)) {
    throw new BuildError({
      code: 'usage',
      message: `SOURCE_DATE_EPOCH is ${JSON.stringify(text)}, not a number of seconds`,
      hint: 'give seconds since 1970, for example --build-arg SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
    });
  }
  return seconds;
}

function targetStageName(dockerfile: Dockerfile, options: FrontendOptions): string {
  const name = options.target ?? dockerfile.stages.at(-1)?.name ?? '';
  return name === '' ? 'default' : name;
}

function platformArgs(options: FrontendOptions, targetStage: string): Env {
  const values = [
    ...platformVariables('BUILD', options.buildPlatform),
    ...platformVariables('TARGET', options.targetPlatform),
    ['TARGETSTAGE', targetStage] as const,
  ];
  let env = EMPTY_ENV;
  for (const [name, value] of values) {
    // Also where it is empty: `ARG TARGETVARIANT` is then set to nothing, not unset.
    env = setEnv(env, name, buildArg(options, name) ?? value);
  }
  return env;
}

function platformVariables(prefix: string, platform: Platform): readonly (readonly [name: string, value: string])[] {
  return [
    [`${prefix}PLATFORM`, formatPlatform(platform)],
    [`${prefix}OS`, platform.os],
    [`${prefix}OSVERSION`, platform.osVersion ?? ''],
    [`${prefix}ARCH`, platform.architecture],
    [`${prefix}VARIANT`, platform.variant ?? ''],
  ];
}
