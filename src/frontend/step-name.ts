import { expandWord } from '../dockerfile/index.ts';
import type { ExpandOptions, Instruction } from '../dockerfile/index.ts';
import type { Platform } from '../llb/index.ts';
import { EMPTY_ENV } from './env.ts';
import type { Env } from './env.ts';
import { formatPlatform, normalizePlatform, parsePlatform } from './platform.ts';
import type { InstructionContext, StageState } from './state.ts';

/**
 * What progress calls a step: `[build 2/3] COPY app.go .`; without the stage in a file of one. `step` counts from 1.
 * Where several platforms are built, that of the stage comes first; with the one it works for, where it has asked:
 * `[linux/amd64->arm64 build 2/3] ...` (BuildKit: dockerfile2llb, prefixCommand).
 *
 * @param env What the stage knows: TARGETPLATFORM and its like are there once ARG named them.
 */
export function stepName(
  { stage, onBuild, platform }: Pick<InstructionContext, 'stage' | 'onBuild' | 'platform'>,
  step: number,
  text: string,
  env: Env = EMPTY_ENV,
): string {
  if (stage.total === 0) return text;
  const count = String(step).padStart(String(stage.total).length);
  const prefix = [stage.showsPlatform ? formatPlatform(platform) + worksFor(platform, env) : '', stage.name]
    .filter((part) => part !== '')
    .map((part) => `${part} `);
  return `[${prefix.join('')}${count}/${stage.total}] ${onBuild ? 'ONBUILD ' : ''}${text}`;
}

/** `->arm64`: what differs from the stage's own platform. */
function worksFor(own: Platform, env: Env): string {
  const target = targetOf(own, env);
  const system = target.os === own.os ? '' : target.os;
  const isSame = target.architecture === own.architecture && target.variant === own.variant;
  const machine = isSame ? '' : [target.architecture, target.variant ?? ''].filter((part) => part !== '').join('/');
  const parts = [system, machine].filter((part) => part !== '');
  return parts.length === 0 ? '' : `->${parts.join('/')}`;
}

function targetOf(own: Platform, env: Env): Platform {
  const whole = env.get('TARGETPLATFORM');
  try {
    if (whole !== undefined) return parsePlatform(whole, own, undefined);
  } catch {
    // Somebody set it to something else; it is theirs to use.
    return own;
  }
  const architecture = env.get('TARGETARCH');
  return normalizePlatform({
    os: env.get('TARGETOS') ?? own.os,
    architecture: architecture ?? own.architecture,
    variant: env.get('TARGETVARIANT') ?? (architecture === undefined ? own.variant : undefined),
  });
}

/** The name of the step that an instruction is, counting it. */
export function nextStepName(state: StageState, context: InstructionContext, text: string): string {
  return stepName(context, state.step + 1, text, state.env);
}

/** An instruction as progress shows it: expanded, its keyword in capitals. */
export function instructionText(instruction: Instruction, env: Env, options: ExpandOptions, suffix = ''): string {
  const text = instruction.original.trim() + suffix;
  return upperFirst(expandLeniently(text, env, options));
}

/** What cannot be expanded is shown as it is. */
function expandLeniently(text: string, env: Env, options: ExpandOptions): string {
  try {
    return expandWord(text, env, options).text;
  } catch {
    return text;
  }
}

function upperFirst(text: string): string {
  const space = text.indexOf(' ');
  return space === -1 ? text.toUpperCase() : text.slice(0, space).toUpperCase() + text.slice(space);
}
