import { BuildError } from '../contracts/index.ts';
import { replacePattern, trimPrefix, trimSuffix } from './shell-pattern.ts';
import { isSpaceAt } from './space.ts';

/** The environment of the moment: name to value, undefined = unset. */
export type VariableLookup = ReadonlyMap<string, string> | ((name: string) => string | undefined);

export interface ExpandOptions {
  /** The file's escape character; absent = `\`. */
  readonly escape?: string | undefined;
  /** Keep quotes in the result, though they still quote: for display. */
  readonly rawQuotes?: boolean | undefined;
  /** Keep escape characters in the result. */
  readonly rawEscapes?: boolean | undefined;
  /** Quotes are ordinary characters: for the bodies of heredocs. */
  readonly plainQuotes?: boolean | undefined;
  /** Leave references to unset variables as they are: for display. */
  readonly keepUnset?: boolean | undefined;
}

export interface Expansion {
  readonly text: string;
  /** The text split at unquoted blanks after expansion: for EXPOSE. */
  readonly words: readonly string[];
  /** Names that were looked up and set. */
  readonly matched: ReadonlySet<string>;
  /** Names that were looked up and unset. */
  readonly unmatched: ReadonlySet<string>;
}

const PLAIN = /^[\w./:@+,=%~-]+$/;

/** Most words have nothing to expand: they mean themselves, whatever the escape character and the variables. */
export function isPlain(word: string): boolean {
  return PLAIN.test(word);
}

const NO_NAMES: ReadonlySet<string> = new Set();

/** `${a:-${b:-...}}` deeper than this is an attack on the stack. */
const MAX_DEPTH = 400;

/**
 * Expands variables and takes away quotes as BuildKit's shell/lex.go: `$v`, `${v}`, the modifiers `:-` `-` `:+` `+`
 * `:?` `?` `#` `##` `%` `%%` `/` `//`, words inside them expanded too. Single quotes keep everything; in double quotes
 * the escape character works on `"`, `$` and itself. An unset variable is empty.
 *
 * Errors: `dockerfile`, without a location (add it with `.at`), for unbalanced quotes and braces, unknown modifiers,
 * and `${v:?message}`.
 */
export function expandWord(word: string, env: VariableLookup, options: ExpandOptions | string = {}): Expansion {
  if (isPlain(word)) return { text: word, words: [word], matched: NO_NAMES, unmatched: NO_NAMES };
  const { words, ...rest } = expandSpans(word, env, typeof options === 'string' ? { escape: options } : options);
  return { ...rest, words: words.map((item) => item.text) };
}

/** A word of the result and where in the source it begins and ends. */
export interface ExpandedWord {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** As {@link expandWord}, with the places of the words. */
export function expandSpans(
  word: string,
  env: VariableLookup,
  options: ExpandOptions,
): Omit<Expansion, 'words'> & { readonly words: readonly ExpandedWord[] } {
  const matched = new Set<string>();
  const unmatched = new Set<string>();
  const lexer = new Lexer(word, env, options, matched, unmatched);
  try {
    const { text, words } = lexer.until('', options.rawEscapes === true);
    return { text, words, matched, unmatched };
  } catch (error) {
    if (!(error instanceof SyntaxFault)) throw error;
    throw new BuildError({
      code: 'dockerfile',
      message: `cannot expand ${JSON.stringify(word)}: ${error.message}`,
      hint: error.hint,
    });
  }
}

/** A mistake in a word; becomes a BuildError that shows the whole word. */
class SyntaxFault extends Error {
  readonly hint: string | undefined;
  constructor(message: string, hint?: string) {
    super(message);
    this.hint = hint;
  }
}

/** Splits the result at unquoted blanks while it grows. */
class WordCollector {
  readonly words: ExpandedWord[] = [];
  #text = '';
  #inWord = false;
  #start = 0;
  #end = 0;

  /** Text that blanks do not split. */
  raw(text: string, start: number, end: number): void {
    if (!this.#inWord) this.#start = start;
    this.#inWord = true;
    this.#text += text;
    this.#end = end;
  }

  split(text: string, start: number, end: number): void {
    for (let i = 0; i < text.length; i++) {
      if (!isSpaceAt(text, i)) this.raw(text.charAt(i), start, end);
      else if (this.#inWord && this.#text !== '') this.finish();
    }
  }

  finish(): readonly ExpandedWord[] {
    if (this.#text !== '') this.words.push({ text: this.#text, start: this.#start, end: this.#end });
    this.#text = '';
    this.#inWord = false;
    return this.words;
  }
}

const LETTER = /^\p{L}/u;
const DIGIT = /^\p{Nd}/u;
/** Shell parameters of one character; nothing sets them, but they are names. */
const SPECIAL = '@*#?-$!0';

class Lexer {
  readonly #source: string;
  readonly #env: VariableLookup;
  readonly #escape: string;
  readonly #options: ExpandOptions;
  readonly #matched: Set<string>;
  readonly #unmatched: Set<string>;
  #at = 0;
  #depth = 0;
  #rawEscapes: boolean;

  constructor(
    source: string,
    env: VariableLookup,
    options: ExpandOptions,
    matched: Set<string>,
    unmatched: Set<string>,
  ) {
    this.#source = source;
    this.#env = env;
    this.#options = options;
    this.#escape = options.escape ?? '\\';
    this.#rawEscapes = options.rawEscapes === true;
    this.#matched = matched;
    this.#unmatched = unmatched;
  }

  /** Expands up to `stop`, which is consumed; '' = up to the end. */
  until(stop: string, rawEscapes: boolean): { text: string; words: readonly ExpandedWord[] } {
    const outer = this.#rawEscapes;
    this.#rawEscapes = rawEscapes;
    const words = new WordCollector();
    let text = '';
    while (this.#at < this.#source.length) {
      const start = this.#at;
      const char = this.#source.charAt(start);
      if (stop !== '' && char === stop) {
        this.#at++;
        this.#rawEscapes = outer;
        return { text, words: words.finish() };
      }
      if (char === '$') {
        const value = this.#dollar();
        text += value;
        words.split(value, start, this.#at);
      } else if ((char === "'" || char === '"') && this.#options.plainQuotes !== true) {
        const value = char === "'" ? this.#singleQuoted() : this.#doubleQuoted();
        text += value;
        words.raw(value, start, this.#at);
      } else if (char === '<') {
        const value = this.#heredocOperator();
        text += value;
        words.raw(value, start, this.#at);
      } else if (char === this.#escape) {
        this.#at++;
        if (this.#rawEscapes) {
          text += char;
          words.raw(char, start, this.#at);
        }
        const next = this.#take();
        if (next === '') break;
        text += next;
        words.raw(next, start, this.#at);
      } else {
        const next = this.#take();
        text += next;
        words.split(next, start, this.#at);
      }
    }
    if (stop !== '') throw new SyntaxFault(stop === '}' ? "a '}' is missing" : `a '${stop}' is missing in \${}`);
    this.#rawEscapes = outer;
    return { text, words: words.finish() };
  }

  /** One character; '' at the end. */
  #take(): string {
    const code = this.#source.codePointAt(this.#at);
    if (code === undefined) return '';
    const char = String.fromCodePoint(code);
    this.#at += char.length;
    return char;
  }

  /** `<<` and the blanks after it stay in one word with the delimiter: `<< EOF`. */
  #heredocOperator(): string {
    const start = this.#at++;
    if (this.#source[this.#at] === '<') {
      this.#at++;
      while (this.#at < this.#source.length && isSpaceAt(this.#source, this.#at)) this.#at++;
    }
    return this.#source.slice(start, this.#at);
  }

  #singleQuoted(): string {
    const start = this.#at;
    const end = this.#source.indexOf("'", start + 1);
    if (end < 0)
      throw new SyntaxFault('a single quote is not closed', 'close it, or put the escape character before it');
    this.#at = end + 1;
    return this.#options.rawQuotes === true ? this.#source.slice(start, end + 1) : this.#source.slice(start + 1, end);
  }

  #doubleQuoted(): string {
    const quote = this.#options.rawQuotes === true ? '"' : '';
    let text = quote;
    this.#at++;
    while (this.#at < this.#source.length) {
      const char = this.#source.charAt(this.#at);
      if (char === '"') {
        this.#at++;
        return text + quote;
      }
      if (char === '$') text += this.#dollar();
      else if (char === this.#escape) {
        this.#at++;
        if (this.#rawEscapes) text += char;
        const next = this.#source.charAt(this.#at);
        // At the end of the word the escape character is dropped.
        if (next === '') break;
        if (next === '"' || next === '$' || next === this.#escape) {
          text += next;
          this.#at++;
        } else text += char;
      } else text += this.#take();
    }
    throw new SyntaxFault('a double quote is not closed', 'close it, or put the escape character before it');
  }

  #dollar(): string {
    this.#at++;
    if (this.#source[this.#at] !== '{') {
      const name = this.#name();
      if (name === '') return '$';
      return this.#lookup(name) ?? (this.#options.keepUnset === true ? `$${name}` : '');
    }
    if (++this.#depth > MAX_DEPTH) throw new SyntaxFault(`\${} is nested more than ${MAX_DEPTH} deep`);
    const value = this.#braces();
    this.#depth--;
    return value;
  }

  #braces(): string {
    this.#at++;
    const first = this.#source.charAt(this.#at);
    if (first === '') throw new SyntaxFault("a '}' is missing");
    if (first === '{' || first === '}' || first === ':')
      throw new SyntaxFault('bad substitution: a name must follow ${');
    const name = this.#name();
    let modifier = this.#take();
    if (modifier === '}') return this.#lookup(name) ?? (this.#options.keepUnset === true ? `\${${name}}` : '');
    if (modifier === '/') return this.#replace(name);
    const colon = modifier === ':';
    if (colon) modifier = this.#take();
    const shown = colon ? `:${modifier}` : modifier;
    if (modifier === '') throw new SyntaxFault("a '}' is missing");
    if (!'-+?#%'.includes(modifier) || (colon && (modifier === '#' || modifier === '%'))) {
      throw new SyntaxFault(`unsupported modifier ${shown} in \${}`, 'known are :- - :+ + :? ? # ## % %% / //');
    }
    const word = this.until('}', modifier === '#' || modifier === '%').text;
    const value = this.#lookup(name);
    if (value === undefined && this.#options.keepUnset === true) return `\${${name}${shown}${word}}`;
    return this.#modify(name, modifier, colon, word, value);
  }

  #modify(name: string, modifier: string, colon: boolean, word: string, value: string | undefined): string {
    const absent = value === undefined || (colon && value === '');
    switch (modifier) {
      case '-':
        return absent ? word : value;
      case '+':
        return absent ? '' : word;
      case '?': {
        if (!absent) return value;
        const missing = value === undefined ? 'is not allowed to be unset' : 'is not allowed to be empty';
        throw new SyntaxFault(`${name}: ${word === '' ? missing : word}`, `set ${name} with --build-arg, ARG or ENV`);
      }
      default: {
        const longest = word.startsWith(modifier);
        const pattern = longest ? word.slice(1) : word;
        return modifier === '#' ? trimPrefix(pattern, value ?? '', longest) : trimSuffix(pattern, value ?? '', longest);
      }
    }
  }

  #replace(name: string): string {
    const all = this.#source[this.#at] === '/';
    if (all) this.#at++;
    const pattern = this.until('/', true).text;
    const replacement = this.until('}', true).text;
    const value = this.#lookup(name);
    if (value === undefined && this.#options.keepUnset === true) return `\${${name}/${pattern}/${replacement}}`;
    return replacePattern(pattern, value ?? '', replacement, all);
  }

  /** Letters, digits and `_`; digits alone; or one special character. '' when there is none. */
  #name(): string {
    const start = this.#at;
    const first = this.#source.slice(start, start + 2);
    if (DIGIT.test(first)) {
      while (DIGIT.test(this.#source.slice(this.#at, this.#at + 2))) this.#take();
    } else if (first !== '' && SPECIAL.includes(first.charAt(0))) {
      this.#at++;
    } else {
      for (;;) {
        const next = this.#source.slice(this.#at, this.#at + 2);
        if (!LETTER.test(next) && !DIGIT.test(next) && !next.startsWith('_')) break;
        this.#take();
      }
    }
    return this.#source.slice(start, this.#at);
  }

  #lookup(name: string): string | undefined {
    const value = typeof this.#env === 'function' ? this.#env(name) : this.#env.get(name);
    (value === undefined ? this.#unmatched : this.#matched).add(name);
    return value;
  }
}
