import { vertex } from '../../llb/index.ts';
import type { VertexInput } from '../../llb/index.ts';
import { absolutePath } from '../paths.ts';
import type { InstructionContext } from '../state.ts';

/** A file from the Dockerfile itself (a heredoc), alone in an empty root. */
export function inlineFile(name: string, content: string, mode: number, context: InstructionContext): VertexInput {
  const made = vertex(
    {
      kind: 'file',
      actions: [
        {
          input: -1,
          secondaryInput: -1,
          output: 0,
          action: {
            kind: 'mkfile',
            path: absolutePath('/', name),
            mode,
            data: new TextEncoder().encode(content),
            timestamp: -1n,
          },
        },
      ],
    },
    [],
    { metadata: { name: '[internal] preparing inline document', location: context.location } },
  );
  return { vertex: made, index: 0 };
}
