/** CMD, ENTRYPOINT, SHELL, HEALTHCHECK, STOPSIGNAL: how a container of the image is run. */
import { BuildError } from '../../contracts/index.ts';
import type {
  CmdInstruction,
  CommandForm,
  EntrypointInstruction,
  HealthcheckInstruction,
  ShellInstruction,
  StopsignalInstruction,
} from '../../dockerfile/index.ts';
import { isSignal } from '../../dockerfile/index.ts';
import type { HealthConfig, ImageConfig } from '../../image/types.ts';
import { goDuration, goList, goQuoteList } from '../go-format.ts';
import { withConfig, withHistory } from '../image-config.ts';
import type { InstructionHandler } from '../state.ts';
import { expand, wordLocation } from '../words.ts';

const DEFAULT_SHELL = ['/bin/sh', '-c'];

/** The arguments of a process: shell form runs in the SHELL of the moment. */
export function commandArgs(command: CommandForm, image: ImageConfig): readonly string[] {
  return command.form === 'exec' ? command.args : withShell(command.text, image);
}

export function withShell(text: string, image: ImageConfig): readonly string[] {
  const shell = image.config?.Shell ?? [];
  return [...(shell.length > 0 ? shell : DEFAULT_SHELL), text];
}

export const dispatchCmd: InstructionHandler<CmdInstruction> = (state, { command }) => {
  const args = commandArgs(command, state.image);
  const image = withConfig(state.image, { Cmd: args, ArgsEscaped: true });
  return { ...state, hasCmd: true, image: withHistory(image, `CMD ${goQuoteList(args)}`, { layer: false }) };
};

/** Takes away the CMD that was inherited, but not one of the same stage. */
export const dispatchEntrypoint: InstructionHandler<EntrypointInstruction> = (state, { command }) => {
  const args = commandArgs(command, state.image);
  const image = withConfig(state.image, { Entrypoint: args, ...(state.hasCmd ? {} : { Cmd: undefined }) });
  return { ...state, image: withHistory(image, `ENTRYPOINT ${goQuoteList(args)}`, { layer: false }) };
};

export const dispatchShell: InstructionHandler<ShellInstruction> = (state, { shell }) => {
  const image = withConfig(state.image, { Shell: shell });
  return { ...state, image: withHistory(image, `SHELL ${goList(shell)}`, { layer: false }) };
};

export const dispatchHealthcheck: InstructionHandler<HealthcheckInstruction> = (state, { check }) => {
  const test =
    check.kind === 'none'
      ? ['NONE']
      : check.command.form === 'exec'
        ? ['CMD', ...check.command.args]
        : ['CMD-SHELL', check.command.text];
  const { interval, timeout, startPeriod, startInterval, retries } =
    check.kind === 'none' ? ({} as Partial<Extract<typeof check, { kind: 'cmd' }>>) : check;
  const text =
    `HEALTHCHECK {Test:${goList(test)} Interval:${goDuration(interval ?? 0)} Timeout:${goDuration(timeout ?? 0)} ` +
    `StartPeriod:${goDuration(startPeriod ?? 0)} StartInterval:${goDuration(startInterval ?? 0)} Retries:${retries ?? 0}}`;
  const health: HealthConfig = {
    Test: test,
    ...nonZero('Interval', interval),
    ...nonZero('Timeout', timeout),
    ...nonZero('StartPeriod', startPeriod),
    ...nonZero('StartInterval', startInterval),
    ...nonZero('Retries', retries),
  };
  return { ...state, image: withHistory(withConfig(state.image, { Healthcheck: health }), text, { layer: false }) };
};

/** Zero means to inherit, and is left out. */
function nonZero<K extends keyof HealthConfig>(key: K, value: number | undefined): { readonly [P in K]?: number } {
  return value === undefined || value === 0 ? {} : ({ [key]: value } as { readonly [P in K]: number });
}

export const dispatchStopsignal: InstructionHandler<StopsignalInstruction> = (state, { signal }, context) => {
  const text = expand(signal, state, context);
  if (!isSignal(text)) {
    throw new BuildError({
      code: 'dockerfile',
      message: `${JSON.stringify(text)} is no signal`,
      hint: 'give a name, as SIGTERM, or a number',
      location: wordLocation(signal, context),
    });
  }
  const image = withConfig(state.image, { StopSignal: text });
  return { ...state, image: withHistory(image, `STOPSIGNAL ${text}`, { layer: false }) };
};
