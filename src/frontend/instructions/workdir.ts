import type { WorkdirInstruction } from '../../dockerfile/index.ts';
import { vertex } from '../../llb/index.ts';
import { parseOwner } from '../owner.ts';
import { withConfig, withHistory } from '../image-config.ts';
import { absolutePath, workingDirectory } from '../paths.ts';
import type { InstructionHandler } from '../state.ts';
import { instructionText, nextStepName } from '../step-name.ts';
import { timestamp } from '../timestamp.ts';
import { expand } from '../words.ts';

/** Makes the directory, owned by the USER of the moment; `/` is there already and makes no layer. */
export const dispatchWorkdir: InstructionHandler<WorkdirInstruction> = (state, instruction, context) => {
  const written = workingDirectory(state.image.config?.WorkingDir ?? '/', expand(instruction.path, state, context));
  const path = absolutePath('/', written);
  const image = withConfig(state.image, { WorkingDir: written });
  const history = `WORKDIR ${written}`;
  if (written === '/') return { ...state, workdir: path, image: withHistory(image, history, { layer: false }) };
  const text = instructionText(instruction, state.env, { escape: context.escape });
  context.usePath(state.root, '/');
  const mkdir = vertex(
    {
      kind: 'file',
      actions: [
        {
          input: state.root === undefined ? -1 : 0,
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'mkdir',
            path,
            mode: 0o755,
            makeParents: true,
            owner: state.user === '' ? undefined : parseOwner(state.user, state.root === undefined ? -1 : 0),
            timestamp: timestamp(context.epoch),
          },
        },
      ],
    },
    state.root === undefined ? [] : [state.root],
    { metadata: { name: nextStepName(state, context, text), location: context.location } },
  );
  return {
    ...state,
    root: { vertex: mkdir, index: 0 },
    workdir: path,
    step: state.step + 1,
    image: withHistory(image, history, { layer: true }),
  };
};
