import { BuildError } from '../../contracts/index.ts';

/** The BuildError that `run` throws; anything else fails the test. */
export function thrownBy(run: () => unknown): BuildError {
  try {
    run();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
  throw new Error('nothing was thrown');
}

/** The text that an error points to. */
export function pointedAt(error: BuildError): string | undefined {
  const [range] = error.location?.ranges ?? [];
  return range === undefined ? undefined : textAt(error.location?.file.text ?? '', range);
}

/** The text of a range, newlines included. */
export function textAt(
  text: string,
  range: { start: { line: number; column: number }; end: { line: number; column: number } },
): string {
  const lines = text.split('\n');
  const offset = ({ line, column }: { line: number; column: number }): number =>
    lines.slice(0, line - 1).reduce((sum, item) => sum + item.length + 1, column);
  return text.slice(offset(range.start), offset(range.end));
}
