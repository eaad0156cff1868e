/** ENV, ARG, LABEL: names and values. All pairs of one instruction see the environment before it. */
import type { ArgInstruction, EnvInstruction, KeyValue, LabelInstruction } from '../../dockerfile/index.ts';
import { setEnv, setInList } from '../env.ts';
import { buildArg } from '../global-args.ts';
import { withConfig, withHistory } from '../image-config.ts';
import type { InstructionContext, InstructionHandler, StageState } from '../state.ts';
import { expand } from '../words.ts';

/** Arguments that configure the builder and never reach a process. */
const BUILDER_ARGS = new Set(['BUILDKIT_SBOM_SCAN_CONTEXT', 'BUILDKIT_SBOM_SCAN_STAGE']);

export const dispatchEnv: InstructionHandler<EnvInstruction> = (state, instruction, context) => {
  const pairs = expandPairs(instruction.pairs, state, context);
  let { env } = state;
  let list = state.image.config?.Env ?? [];
  for (const [key, value] of pairs) {
    env = setEnv(env, key, value);
    list = setInList(list, key, value);
  }
  const image = withConfig(state.image, { Env: list });
  return { ...state, env, image: withHistory(image, `ENV ${joinPairs(pairs)}`, { layer: false }) };
};

/**
 * `--build-arg`, else the default, else the global scope's value. The last declaration counts in a RUN, be it ARG or
 * ENV; the image keeps ENV.
 */
export const dispatchArg: InstructionHandler<ArgInstruction> = (state, instruction, context) => {
  let { env, buildArgs } = state;
  const shown: string[] = [];
  for (const { key, value: fallback } of instruction.args) {
    const given = buildArg(context.options, key.text);
    let value = given;
    if (given === undefined) {
      value = fallback === undefined ? context.globalArgs.get(key.text) : expand(fallback, { ...state, env }, context);
    }
    if (value !== undefined && !BUILDER_ARGS.has(key.text)) env = setEnv(env, key.text, value);
    buildArgs = [...buildArgs, { key: key.text, value }];
    shown.push(value === undefined ? key.text : `${key.text}=${value}`);
  }
  return {
    ...state,
    env,
    buildArgs,
    image: withHistory(state.image, `ARG ${shown.join(' ')}`, { layer: false }),
  };
};

export const dispatchLabel: InstructionHandler<LabelInstruction> = (state, instruction, context) => {
  const pairs = expandPairs(instruction.pairs, state, context);
  const image = withConfig(state.image, { Labels: { ...state.image.config?.Labels, ...Object.fromEntries(pairs) } });
  return { ...state, image: withHistory(image, `LABEL ${joinPairs(pairs)}`, { layer: false }) };
};

type Pair = readonly [key: string, value: string];

function expandPairs(pairs: readonly KeyValue[], state: StageState, context: InstructionContext): readonly Pair[] {
  return pairs.map(({ key, value }) => [expand(key, state, context), expand(value, state, context)]);
}

function joinPairs(pairs: readonly Pair[]): string {
  return pairs.map(([key, value]) => `${key}=${value}`).join(' ');
}
