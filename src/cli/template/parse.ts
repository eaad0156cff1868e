import { BuildError } from '../../index.ts';
import type { Node, Operand, Pipe } from './types.ts';

/**
 * Reads a template of Go's text/template: fields, pipes, variables, `if`, `range`, `with`, comments and trimming.
 *
 * @throws BuildError `usage` with the place
 */
export function parseTemplate(text: string): readonly Node[] {
  const parser = new Parser(splitActions(text), text);
  return parser.nodes();
}

export function templateError(template: string, message: string, hint?: string): BuildError {
  return new BuildError({ code: 'usage', message: `--format ${JSON.stringify(template)}: ${message}`, hint });
}

type Piece = { readonly kind: 'text' | 'action'; readonly text: string };

/** Strings in an action may hold braces. */
const ACTION = /\{\{(- )?((?:"(?:[^"\\]|\\.)*"|`[^`]*`|\/\*[\s\S]*?\*\/|(?!\}\}|`|")[\s\S])*?)( -)?\}\}/g;

function splitActions(template: string): readonly Piece[] {
  const pieces: Piece[] = [];
  let at = 0;
  let trims = false;
  const text = (end: number, trimsEnd: boolean): void => {
    let part = template.slice(at, end);
    if (part.includes('{{')) throw templateError(template, 'an action {{ has no end }}');
    if (trims) part = part.trimStart();
    if (trimsEnd) part = part.trimEnd();
    if (part !== '') pieces.push({ kind: 'text', text: part });
  };
  for (const match of template.matchAll(ACTION)) {
    text(match.index, match[1] !== undefined);
    at = match.index + match[0].length;
    trims = match[3] !== undefined;
    const action = (match[2] ?? '').trim();
    if (!action.startsWith('/*')) pieces.push({ kind: 'action', text: action });
  }
  text(template.length, false);
  return pieces;
}

const TOKEN = /\s*(?:("(?:[^"\\]|\\.)*")|`([^`]*)`|(-?\d+(?:\.\d+)?)|(\$\w*)|(\.\w+)|(\.)|(\w+)|(:=|[|(),=]))/y;

interface Token {
  readonly kind: 'string' | 'number' | 'variable' | 'field' | 'dot' | 'word' | 'sign';
  readonly text: string;
  /** A blank stands before it: `.A .B` are two operands, `.A.B` is one. */
  readonly isApart: boolean;
}

class Parser {
  readonly #pieces: readonly Piece[];
  readonly #template: string;
  #at = 0;
  #tokens: readonly Token[] = [];
  #token = 0;

  constructor(pieces: readonly Piece[], template: string) {
    this.#pieces = pieces;
    this.#template = template;
  }

  nodes(): readonly Node[] {
    const nodes = this.#list();
    if (this.#at < this.#pieces.length) throw this.#error(`{{${this.#pieces[this.#at]?.text ?? ''}}} closes nothing`);
    return nodes;
  }

  /** Up to `else` or `end`, which it leaves. */
  #list(): readonly Node[] {
    const nodes: Node[] = [];
    for (let piece = this.#pieces[this.#at]; piece !== undefined; piece = this.#pieces[this.#at]) {
      if (piece.kind === 'text') nodes.push({ kind: 'text', text: piece.text });
      else {
        const word = /^\w+/.exec(piece.text)?.[0] ?? '';
        if (word === 'end' || word === 'else') return nodes;
        if (word === 'if' || word === 'range' || word === 'with') {
          nodes.push(this.#block(word, piece.text.slice(word.length)));
          continue;
        }
        nodes.push({ kind: 'print', pipe: this.#pipeOf(piece.text) });
      }
      this.#at++;
    }
    return nodes;
  }

  #block(kind: 'if' | 'range' | 'with', words: string): Node {
    const pipe = this.#pipeOf(words);
    this.#at++;
    const body = this.#list();
    const next = this.#pieces[this.#at]?.text;
    let otherwise: readonly Node[] = [];
    if (next !== undefined && /^else\b/.test(next)) {
      const more = /^else\s+(if|with)\b/.exec(next);
      if (more !== null) {
        // Shares the `end` of this one.
        return {
          kind,
          pipe,
          body,
          otherwise: [this.#block(more[1] === 'with' ? 'with' : 'if', next.slice(more[0].length))],
        };
      }
      this.#at++;
      otherwise = this.#list();
    }
    if (this.#pieces[this.#at]?.text !== 'end') throw this.#error(`{{${kind}}} has no {{end}}`);
    this.#at++;
    return { kind, pipe, body, otherwise };
  }

  #pipeOf(text: string): Pipe {
    this.#tokens = tokens(text, this.#template);
    this.#token = 0;
    const pipe = this.#pipe();
    const left = this.#tokens[this.#token];
    if (left !== undefined) throw this.#error(`${left.text} is not expected in {{${text}}}`);
    return pipe;
  }

  #pipe(): Pipe {
    const variables: string[] = [];
    const assigns = this.#tokens.findIndex(({ text }) => text === ':=' || text === '=');
    if (this.#token === 0 && assigns > 0) {
      for (const token of this.#tokens.slice(0, assigns)) if (token.kind === 'variable') variables.push(token.text);
      this.#token = assigns + 1;
    }
    const commands: Operand[][] = [];
    do {
      const command: Operand[] = [];
      for (let operand = this.#operand(); operand !== undefined; operand = this.#operand()) command.push(operand);
      if (command.length === 0) throw this.#error('a command is missing');
      commands.push(command);
    } while (this.#take('|'));
    return { variables, commands };
  }

  #take(sign: string): boolean {
    if (this.#tokens[this.#token]?.text !== sign || this.#tokens[this.#token]?.kind !== 'sign') return false;
    this.#token++;
    return true;
  }

  #operand(): Operand | undefined {
    const token = this.#tokens[this.#token];
    if (token === undefined || (token.kind === 'sign' && token.text !== '(')) return undefined;
    this.#token++;
    switch (token.kind) {
      case 'string':
        return { kind: 'literal', value: token.text };
      case 'number':
        return { kind: 'literal', value: Number(token.text) };
      case 'word':
        if (token.text === 'true' || token.text === 'false') return { kind: 'literal', value: token.text === 'true' };
        if (token.text === 'nil') return { kind: 'literal', value: undefined };
        return { kind: 'function', name: token.text };
      case 'dot':
        return { kind: 'path', from: '.', fields: [] };
      case 'field':
        return { kind: 'path', from: '.', fields: [token.text.slice(1), ...this.#fields()] };
      case 'variable':
        return { kind: 'path', from: token.text, fields: this.#fields() };
      case 'sign': {
        const from = this.#pipe();
        if (!this.#take(')')) throw this.#error('a ( has no )');
        return { kind: 'path', from, fields: this.#fields() };
      }
    }
  }

  #fields(): readonly string[] {
    const fields: string[] = [];
    for (;;) {
      const token = this.#tokens[this.#token];
      if (token?.kind !== 'field' || token.isApart) return fields;
      fields.push(token.text.slice(1));
      this.#token++;
    }
  }

  #error(message: string): BuildError {
    return templateError(this.#template, message);
  }
}

function tokens(text: string, template: string): readonly Token[] {
  const found: Token[] = [];
  TOKEN.lastIndex = 0;
  const end = text.trimEnd().length;
  while (TOKEN.lastIndex < end) {
    const start = TOKEN.lastIndex;
    const match = TOKEN.exec(text);
    if (match === null) throw templateError(template, `${text.slice(start).trim()} cannot be read`);
    const isApart = /^\s/.test(match[0]);
    const [, quoted, raw, number, variable, field, dot, word, sign] = match;
    const add = (kind: Token['kind'], value: string): void => void found.push({ kind, text: value, isApart });
    if (quoted !== undefined) add('string', unquoted(quoted));
    else if (raw !== undefined) add('string', raw);
    else if (number !== undefined) add('number', number);
    else if (variable !== undefined) add('variable', variable);
    else if (field !== undefined) add('field', field);
    else if (dot !== undefined) add('dot', dot);
    else if (word !== undefined) add('word', word);
    else add('sign', sign ?? '');
  }
  return found;
}

const ESCAPES: Readonly<Record<string, string>> = { n: '\n', t: '\t', r: '\r', '"': '"', '\\': '\\' };

function unquoted(text: string): string {
  return text.slice(1, -1).replace(/\\(.)/g, (_, escaped: string) => ESCAPES[escaped] ?? escaped);
}
