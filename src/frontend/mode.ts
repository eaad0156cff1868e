/** `--chmod`: an octal number, or symbolic clauses as chmod(1) takes them. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';

const MODE_MAX = 0o7777;
const CLAUSE = /^[ugoa]*(?:[-+=][rwxXstugo]*)+$/;

/**
 * `mode` -1 = as it is, or `modeStr` says how to change it.
 *
 * @throws BuildError `copy` when it is neither form.
 */
export function parseMode(
  text: string | undefined,
  location: SourceLocation,
): { readonly mode: number; readonly modeStr?: string } {
  if (text === undefined || text === '') return { mode: -1 };
  if (/^[0-7]+$/.test(text)) {
    const mode = Number.parseInt(text, 8);
    if (mode <= MODE_MAX) return { mode };
  } else if (text.split(',').every((clause) => CLAUSE.test(clause))) {
    return { mode: 0, modeStr: text };
  }
  throw new BuildError({
    code: 'copy',
    message: `--chmod=${text} is no file mode`,
    hint: 'give an octal number from 0 to 07777, as 755, or symbolic changes, as u+x,go-w',
    location,
  });
}
