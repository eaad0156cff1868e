import { BuildError, type SourceFile } from '../contracts/index.ts';
import { cleanPath } from './clean.ts';
import { globTokens } from './glob.ts';

/** A pattern of an ignore file, ready for `compilePatterns`. */
export interface IgnoreLine {
  /** Cleaned, relative to the context's root; a `!` in front negates. */
  readonly pattern: string;
  /** From 1. */
  readonly line: number;
}

/**
 * Reads `.dockerignore` as moby/patternmatcher's `ignorefile` does: a `#` in column 0 makes a comment, blanks around a
 * pattern and after its `!` are dropped, paths are cleaned, one leading slash is taken away. A byte order mark and CRLF
 * are fine.
 *
 * Errors: `ignore-file` for a lone `!` and for a malformed pattern, pointing to the line. BuildKit fails there too.
 */
export function parseIgnoreFile(text: string, filename: string): readonly IgnoreLine[] {
  const file: SourceFile = { filename, text, language: 'ignore' };
  const lines: IgnoreLine[] = [];
  let number = 0;
  for (const raw of text.split('\n')) {
    number++;
    const line = number === 1 && raw.startsWith('\uFEFF') ? raw.slice(1) : raw;
    if (line.startsWith('#')) continue;
    const trimmed = line.trim();
    if (trimmed === '') continue;
    const negated = trimmed.startsWith('!');
    const body = negated ? trimmed.slice(1).trim() : trimmed;
    const at = { line: number, column: raw.indexOf(trimmed) };
    const location = { file, ranges: [{ start: at, end: { line: number, column: at.column + trimmed.length } }] };
    if (body === '') {
      throw new BuildError({
        code: 'ignore-file',
        message: `line ${number} of ${filename} is a lone "!"`,
        hint: 'write the path to include again after the "!", or remove the line',
        location,
      });
    }
    const pattern = relativePattern(body);
    if (globTokens(pattern) === undefined) {
      throw new BuildError({
        code: 'ignore-file',
        message: `line ${number} of ${filename} has a malformed pattern: ${body}`,
        hint: 'close every [ with a ], and write \\[ or \\\\ for the characters themselves',
        location,
      });
    }
    lines.push({ pattern: negated ? `!${pattern}` : pattern, line: number });
  }
  return lines;
}

/** Cleaned and without its leading slash: paths in a context are relative to its root. */
export function relativePattern(pattern: string): string {
  const cleaned = cleanPath(pattern);
  return cleaned.length > 1 && cleaned.startsWith('/') ? cleaned.slice(1) : cleaned;
}
