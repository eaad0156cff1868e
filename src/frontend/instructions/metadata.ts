/** USER, VOLUME, MAINTAINER, ONBUILD: what only the config records. */
import { BuildError } from '../../contracts/index.ts';
import type {
  MaintainerInstruction,
  OnbuildInstruction,
  UserInstruction,
  VolumeInstruction,
} from '../../dockerfile/index.ts';
import { goList } from '../go-format.ts';
import { withConfig, withHistory } from '../image-config.ts';
import type { InstructionHandler } from '../state.ts';
import { expand, wordLocation } from '../words.ts';

/** Unchecked: the user may be made by a later step. */
export const dispatchUser: InstructionHandler<UserInstruction> = (state, instruction, context) => {
  const user = expand(instruction.user, state, context);
  const image = withConfig(state.image, { User: user });
  return { ...state, user, image: withHistory(image, `USER ${user}`, { layer: false }) };
};

/** Config only: what a build writes below a volume is kept, and nothing is created. */
export const dispatchVolume: InstructionHandler<VolumeInstruction> = (state, instruction, context) => {
  const volumes = instruction.volumes.map((word) => {
    const volume = expand(word, state, context);
    if (volume !== '') return volume;
    throw new BuildError({
      code: 'dockerfile',
      message: 'a volume cannot be an empty string',
      location: wordLocation(word, context),
    });
  });
  const all = { ...state.image.config?.Volumes, ...Object.fromEntries(volumes.map((volume) => [volume, {}])) };
  const image = withConfig(state.image, { Volumes: all });
  return { ...state, image: withHistory(image, `VOLUME ${goList(volumes)}`, { layer: false }) };
};

export const dispatchMaintainer: InstructionHandler<MaintainerInstruction> = (state, { maintainer }) => {
  const image = { ...state.image, author: maintainer.text };
  return { ...state, image: withHistory(image, `MAINTAINER ${maintainer.text}`, { layer: false }) };
};

/** Kept for stages and images that stand on this one; leaves no history. */
export const dispatchOnbuild: InstructionHandler<OnbuildInstruction> = (state, { expression }) => ({
  ...state,
  image: withConfig(state.image, { OnBuild: [...(state.image.config?.OnBuild ?? []), expression] }),
});
