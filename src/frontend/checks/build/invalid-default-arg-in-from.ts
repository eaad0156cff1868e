import { BuildError } from '../../../contracts/index.ts';
import type { Report, Rule } from '../../../dockerfile/index.ts';
import { isReference } from '../../../image/reference.ts';
import type { Env } from '../../env.ts';
import { globalArgs } from '../../global-args.ts';
import type { BuildView } from '../view.ts';
import { tryExpand } from './from-words.ts';

export const invalidDefaultArgInFrom: Rule<BuildView> = {
  name: 'InvalidDefaultArgInFrom',
  severity: 'warning',
  description: 'FROM names an image when no --build-arg is given, too',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Without its build arguments such a file cannot be built, and tools that read it cannot say what it stands on. Give the ARG a default.',
    bad: 'ARG TAG\nFROM busybox:${TAG}',
    good: 'ARG TAG=latest\nFROM busybox:${TAG}',
  },
  *check(view): Iterable<Report> {
    const defaults = defaultArgs(view);
    if (defaults === undefined) return;
    for (const { stage, base } of view.graph.stages) {
      const { image } = stage.from;
      // Without a variable, of a stage: no stage has a name that is no reference.
      if (base?.stage.name === image.text) continue;
      const name = tryExpand(image.text, defaults, view.dockerfile.escape);
      if (name === undefined) return;
      if (isReference(name.text)) continue;
      yield {
        message: `with the defaults of its ARGs alone, ${image.text} is ${name.text === '' ? 'empty' : `${JSON.stringify(name.text)}, no image name`}`,
        hint: 'give the ARG a default that makes it one',
        place: stage.from,
        range: image.range,
      };
    }
  },
};

function defaultArgs({ dockerfile, options }: BuildView): Env | undefined {
  try {
    return globalArgs(dockerfile, { ...options, buildArgs: {} });
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
