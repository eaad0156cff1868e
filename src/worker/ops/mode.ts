/**
 * `--chmod`: octal, or symbolic as BSD's setmode(3) reads it, which is what BuildKit uses (tonistiigi/dchapes-mode),
 * with an empty umask.
 */
import { BuildError } from '../../contracts/index.ts';
import type { CopyAction } from '../../llb/index.ts';

/** The new permission bits (0..0o7777) of an entry. */
export type ModeChange = (mode: number, directory: boolean) => number;

const STICKY = 0o1000;
const STANDARD = 0o6777;
const EXECUTE = 0o111;
const CLASS_SHIFT = { u: 6, g: 3, o: 0 } as const;

interface Step {
  readonly op: '+' | '-' | 'X' | 'u' | 'g' | 'o';
  /** What is set, cleared, or for `u`, `g` and `o` may be written. */
  readonly bits: number;
  readonly clear?: boolean;
  readonly set?: boolean;
}

/** The mode change of a copy; undefined = modes stay. */
export function modeChangeOf(action: CopyAction): ModeChange | undefined {
  if (action.modeStr !== undefined && action.modeStr !== '') return parseMode(action.modeStr);
  if (action.mode === -1) return undefined;
  const mode = action.mode & 0o7777;
  return () => mode;
}

/** @throws BuildError `copy` when `text` is no mode. */
export function parseMode(text: string): ModeChange {
  if (/^[0-9]/.test(text)) {
    if (!/^0*[0-7]{1,4}$/.test(text)) throw badMode(text);
    const mode = Number.parseInt(text, 8);
    return () => mode;
  }
  const steps = text.split(',').flatMap((clause) => parseClause(clause, text));
  return (mode, directory) => applySteps(steps, mode, directory);
}

function parseClause(clause: string, text: string): Step[] {
  const match = /^([augo]*)((?:[-+=][rwxXstugo]*)+)$/.exec(clause);
  if (match === null) throw badMode(text);
  const [, classes = '', operations = ''] = match;
  let who = 0;
  for (const c of classes) who |= c === 'a' ? STANDARD : c === 'u' ? 0o4700 : c === 'g' ? 0o2070 : 0o007;
  return (operations.match(/[-+=][^-+=]*/g) ?? []).flatMap((operation) => parseOperation(operation, who));
}

/** One `+rw`, `=s`, `-u` with the bits of its classes; `who` 0 = all. */
function parseOperation(operation: string, classes: number): Step[] {
  const op = operation.charAt(0);
  const steps: Step[] = [];
  let who = classes;
  let set = 0;
  let conditional = 0;
  let cleared = false;
  const flush = (last: boolean): void => {
    if (set !== 0 || (last && op === '=' && !cleared)) {
      if (op === '=') steps.push({ op: '-', bits: who === 0 ? STANDARD : who });
      cleared = true;
      steps.push({ op: op === '-' ? '-' : '+', bits: who === 0 ? set : who & set });
      set = 0;
    }
    if (conditional !== 0) steps.push({ op: 'X', bits: who === 0 ? conditional : who & conditional });
    conditional = 0;
  };
  for (const letter of operation.slice(1)) {
    // Set-ids and sticky mean nothing to "others" alone.
    const special = who === 0 || (who & ~0o007) !== 0;
    if (letter === 'r') set |= 0o444;
    else if (letter === 'w') set |= 0o222;
    else if (letter === 'x') set |= EXECUTE;
    else if (letter === 'X' && op === '-') set |= EXECUTE;
    else if (letter === 'X') conditional = EXECUTE;
    else if (letter === 's') set |= special ? 0o6000 : 0;
    else if (letter === 't') {
      if (special) {
        who |= STICKY;
        set |= STICKY;
      }
    } else {
      flush(false);
      cleared = true;
      steps.push({
        op: letter as 'u' | 'g' | 'o',
        bits: (who === 0 ? STANDARD : who) & 0o777,
        set: op !== '-',
        clear: op !== '+',
      });
    }
  }
  flush(true);
  return steps;
}

function applySteps(steps: readonly Step[], mode: number, directory: boolean): number {
  let now = mode & 0o7777;
  for (const step of steps) {
    if (step.op === '+') now |= step.bits;
    else if (step.op === '-') now &= ~step.bits;
    else if (step.op === 'X') now |= directory || (mode & EXECUTE) !== 0 ? step.bits : 0;
    else {
      const value = (now >> CLASS_SHIFT[step.op]) & 0o7;
      const everywhere = (value << 6) | (value << 3) | value;
      if (step.clear === true) now &= ~((step.set === true ? 0o777 : everywhere) & step.bits);
      if (step.set === true) now |= everywhere & step.bits;
    }
  }
  return now;
}

function badMode(text: string): BuildError {
  return new BuildError({
    code: 'copy',
    message: `invalid chmod value ${JSON.stringify(text)}`,
    hint: 'Use an octal mode up to 7777, as 0755, or a symbolic one, as u+x,go-w.',
  });
}
