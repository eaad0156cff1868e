import { BuildError, type SourceFile, type SourceRange } from '../contracts/index.ts';

/** The error of this room: what is wrong where, and what to do about it. */
export function dockerfileError(
  file: SourceFile,
  range: SourceRange | undefined,
  message: string,
  hint?: string,
): BuildError {
  const location = range === undefined ? undefined : { file, ranges: [range] };
  return new BuildError({ code: 'dockerfile', message, hint, location });
}
