/** RUN as simple commands: enough of a shell to see which programs are started with which words. */
import type { RunInstruction } from '../../../dockerfile/index.ts';
import type { StepView } from '../view.ts';

/** A program with its arguments; quotes are gone, variables are as written. */
export interface Command {
  readonly program: string;
  readonly args: readonly string[];
}

/** Words before a program that do not change which one runs. */
const PREFIXES = new Set('! ( { command do elif else env exec if nice nohup sudo then time until while'.split(' '));
const SHELL = /(?:^|\/)(?:ba|da|a|z)?sh$/;
/** A script that runs a script that ... */
const MAX_DEPTH = 4;

/** Several rules ask for the same. */
const parsed = new WeakMap<RunInstruction, readonly Command[]>();

/** The commands of a RUN: shell form, exec form, scripts in heredocs. */
export function runCommands({ instruction }: StepView<RunInstruction>): readonly Command[] {
  const known = parsed.get(instruction) ?? readCommands(instruction);
  parsed.set(instruction, known);
  return known;
}

function readCommands(instruction: RunInstruction): readonly Command[] {
  const { command, heredocs } = instruction;
  if (command.form === 'exec') return unwrap(command.args, 0);
  const [first] = heredocs;
  if (first === undefined) return shellCommands(command.text);
  const lead = command.text.trim();
  const isScript = /^<<-?\S+$/.test(lead) || (SHELL.test(lead.split(/\s/)[0] ?? '') && lead.includes('<<'));
  if (!isScript) return shellCommands(lead.replace(/\d*<<-?\S+/g, ' '));
  const content = first.rawContent ?? first.content;
  const shebang = /^#!\s*(?:\S*\/env\s+)?(\S+)/.exec(content)?.[1];
  return shebang === undefined || SHELL.test(shebang) ? shellCommands(content) : [];
}

/** The simple commands of a script, in order; what conditions and loops make of them is not looked at. */
export function shellCommands(script: string, depth = 0): readonly Command[] {
  return splitCommands(script).flatMap((words) => unwrap(words, depth));
}

function unwrap(words: readonly string[], depth: number): readonly Command[] {
  let at = 0;
  for (let word = words[at]; word !== undefined; word = words[at]) {
    if (!PREFIXES.has(word) && !/^\w+=/.test(word) && !(at > 0 && word.startsWith('-') && isFlagOfPrefix(words, at)))
      break;
    at++;
  }
  const [program, ...args] = words.slice(at);
  if (program === undefined) return [];
  const script = SHELL.test(program) ? scriptOf(args) : undefined;
  if (script !== undefined && depth < MAX_DEPTH) return shellCommands(script, depth + 1);
  return [{ program: program.replace(/^.*\//, ''), args }];
}

function isFlagOfPrefix(words: readonly string[], at: number): boolean {
  return words.slice(0, at).some((word) => word === 'sudo' || word === 'env' || word === 'nice');
}

/** Of `sh -c SCRIPT`, with `-ec` and the like. */
function scriptOf(args: readonly string[]): string | undefined {
  const at = args.findIndex((arg) => /^-[a-z]*c[a-z]*$/.test(arg));
  return at < 0 ? undefined : args[at + 1];
}

/** Splits at `;`, `&`, `|`, newlines and parentheses outside of quotes; linear in the length of the text. */
function splitCommands(text: string): readonly (readonly string[])[] {
  const commands: string[][] = [];
  let words: string[] = [];
  let word: string | undefined;
  const endWord = (): void => {
    if (word !== undefined) words.push(word);
    word = undefined;
  };
  const endCommand = (): void => {
    endWord();
    if (words.length > 0) commands.push(words);
    words = [];
  };
  for (let i = 0; i < text.length; i++) {
    const char = text.charAt(i);
    if (char === "'" || char === '"' || char === '`') {
      const { value, end } = quoted(text, i, char);
      word = (word ?? '') + value;
      i = end;
    } else if (char === '\\') {
      i++;
      if (text[i] !== '\n') word = (word ?? '') + text.charAt(i);
    } else if (char === '$' && text[i + 1] === '(') {
      const end = closing(text, i + 1);
      word = (word ?? '') + text.slice(i, end + 1);
      i = end;
    } else if (char === '#' && word === undefined) {
      const end = text.indexOf('\n', i);
      i = (end < 0 ? text.length : end) - 1;
    } else if (char === '&' && (text[i - 1] === '>' || text[i + 1] === '>')) {
      word = (word ?? '') + char;
    } else if (';&|\n()'.includes(char)) {
      endCommand();
    } else if (char === ' ' || char === '\t' || char === '\r') {
      endWord();
    } else {
      word = (word ?? '') + char;
    }
  }
  endCommand();
  return commands;
}

/** From an opening quote to its end; an open one goes on to the end of the text. */
function quoted(text: string, start: number, quote: string): { readonly value: string; readonly end: number } {
  if (quote !== '"') {
    const end = text.indexOf(quote, start + 1);
    return end < 0 ? { value: text.slice(start + 1), end: text.length } : { value: text.slice(start + 1, end), end };
  }
  let value = '';
  let i = start + 1;
  for (; i < text.length && text[i] !== '"'; i++) {
    if (text[i] === '\\' && /["\\$`\n]/.test(text.charAt(i + 1))) i++;
    value += text.charAt(i);
  }
  return { value, end: i };
}

/** Of a parenthesis; the end of the text when it is open. */
function closing(text: string, start: number): number {
  let depth = 0;
  for (let i = start; i < text.length; i++) {
    if (text[i] === '(') depth++;
    else if (text[i] === ')' && --depth === 0) return i;
  }
  return text.length - 1;
}
