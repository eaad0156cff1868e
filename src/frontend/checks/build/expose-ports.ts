import { BuildError } from '../../../contracts/index.ts';
import { expandWord } from '../../../dockerfile/index.ts';
import type { ExposeInstruction, Word } from '../../../dockerfile/index.ts';
import { stepsOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

/** A port of an EXPOSE, cut but not checked. */
export interface ExposedPort {
  readonly step: StepView<ExposeInstruction>;
  readonly word: Word;
  /** As written, variables expanded. */
  readonly spec: string;
  /** IP address and port of the host, which have no meaning here. */
  readonly host: string;
  readonly port: string;
  readonly protocol: string;
}

/** Every port of the checked stages; a variable may hold several. */
export function* exposedPorts({ stages, dockerfile }: BuildView): Iterable<ExposedPort> {
  for (const step of stepsOf(stages, 'EXPOSE')) {
    for (const word of step.instruction.ports) {
      for (const spec of expandPorts(word.text, step, dockerfile.escape)) {
        const host = spec.slice(0, Math.max(0, spec.lastIndexOf(':')));
        const container = spec.slice(spec.lastIndexOf(':') + 1);
        const slash = container.indexOf('/');
        const port = slash < 0 ? container : container.slice(0, slash);
        yield { step, word, spec, host, port, protocol: slash < 0 ? '' : container.slice(slash + 1) };
      }
    }
  }
}

function expandPorts(text: string, { env }: StepView, escape: string): readonly string[] {
  try {
    return expandWord(text, env, { escape }).words;
  } catch (error) {
    if (error instanceof BuildError) return [];
    throw error;
  }
}
