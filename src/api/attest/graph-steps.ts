import type { ProvenanceStep } from '../../export/index.ts';
import { printJson, type Definition } from '../../llb/index.ts';

interface PrintedOp {
  readonly inputs?: readonly { readonly digest: string; readonly index?: number }[];
}

/**
 * The graph as BuildKit's provenance has it: ops by number, `step0:0` where one stands on another.
 *
 * @param scrub For text that a step writes, before it is base64 again.
 */
export function graphSteps(definition: Definition, scrub: (text: string) => string): readonly ProvenanceStep[] {
  const printed = printJson(definition)
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => JSON.parse(line) as { readonly digest: string; readonly op: PrintedOp });
  const numbers = new Map(printed.map(({ digest }, i) => [digest, `step${i}`]));
  return printed.map(({ digest, op: { inputs = [], ...op } }): ProvenanceStep => {
    const vertex = definition.vertices.find((one) => one.digest === digest);
    return {
      id: numbers.get(digest) ?? '',
      op: { Op: scrubData(op, scrub) },
      inputs: inputs.map((input) => `${numbers.get(input.digest) ?? input.digest}:${input.index ?? 0}`),
      lines: (vertex?.metadata.location?.ranges ?? []).map(({ start, end }) => ({ start: start.line, end: end.line })),
    };
  });
}

/** Bytes of files are the one place where text is not told as text. */
function scrubData(value: unknown, scrub: (text: string) => string): unknown {
  if (Array.isArray(value)) return value.map((item) => scrubData(item, scrub));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => {
      if (key !== 'data' || typeof item !== 'string') return [key, scrubData(item, scrub)];
      const text = Buffer.from(item, 'base64').toString('utf8');
      const clean = scrub(text);
      return [key, clean === text ? item : Buffer.from(clean).toString('base64')];
    }),
  );
}
