import type { Instruction } from '../../dockerfile/index.ts';
import type { InstructionContext, StageState } from '../state.ts';
import { dispatchCmd, dispatchEntrypoint, dispatchHealthcheck, dispatchShell, dispatchStopsignal } from './command.ts';
import { dispatchAdd, dispatchCopy } from './copy.ts';
import { dispatchArg, dispatchEnv, dispatchLabel } from './environment.ts';
import { dispatchExpose } from './expose.ts';
import { dispatchMaintainer, dispatchOnbuild, dispatchUser, dispatchVolume } from './metadata.ts';
import { dispatchRun } from './run.ts';
import { dispatchWorkdir } from './workdir.ts';

/** Carries out one instruction of a stage. */
export function dispatch(state: StageState, instruction: Instruction, context: InstructionContext): StageState {
  switch (instruction.name) {
    case 'ARG':
      return dispatchArg(state, instruction, context);
    case 'ENV':
      return dispatchEnv(state, instruction, context);
    case 'LABEL':
      return dispatchLabel(state, instruction, context);
    case 'RUN':
      return dispatchRun(state, instruction, context);
    case 'COPY':
      return dispatchCopy(state, instruction, context);
    case 'ADD':
      return dispatchAdd(state, instruction, context);
    case 'WORKDIR':
      return dispatchWorkdir(state, instruction, context);
    case 'USER':
      return dispatchUser(state, instruction, context);
    case 'CMD':
      return dispatchCmd(state, instruction, context);
    case 'ENTRYPOINT':
      return dispatchEntrypoint(state, instruction, context);
    case 'SHELL':
      return dispatchShell(state, instruction, context);
    case 'EXPOSE':
      return dispatchExpose(state, instruction, context);
    case 'VOLUME':
      return dispatchVolume(state, instruction, context);
    case 'STOPSIGNAL':
      return dispatchStopsignal(state, instruction, context);
    case 'HEALTHCHECK':
      return dispatchHealthcheck(state, instruction, context);
    case 'ONBUILD':
      return dispatchOnbuild(state, instruction, context);
    case 'MAINTAINER':
      return dispatchMaintainer(state, instruction, context);
  }
}

/** Whether progress counts the instruction as a step. */
export function isStep({ name }: Instruction): boolean {
  return name === 'RUN' || name === 'COPY' || name === 'ADD' || name === 'WORKDIR';
}
