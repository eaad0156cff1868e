import type { SourceFile } from '../contracts/index.ts';
import { dockerfileError } from './errors.ts';
import { indentOf, lineRange, nextLine, type LineCursor, type PhysicalLine } from './lines.ts';
import type { Directive } from './types.ts';

/** The directives at the top of a file. */
export interface DirectiveBlock {
  readonly directives: readonly Directive[];
  /** `\` or `` ` ``. */
  readonly escape: string;
  /** Lines 1 to this hold directives or a `#!` line and are no comments; 0 = none. */
  readonly lastLine: number;
}

const FORM = /^([a-zA-Z][a-zA-Z0-9]*)\s*=\s*(.+?)\s*$/;
const NAMES = ['syntax', 'escape', 'check'] as const;

/**
 * Reads `# syntax=`, `# escape=` and `# check=` as BuildKit's parser/directives.go: each once, keys in any case, up to
 * the first line that is none of them: another comment, a blank line, an instruction. After a `#!` line on line 1 only
 * `syntax` and `check` are seen.
 *
 * Errors: `dockerfile` for a repeated directive and for an escape character other than `\` and `` ` ``.
 */
export function readDirectives(file: SourceFile): DirectiveBlock {
  const cursor: LineCursor = { text: file.text, offset: 0, number: 0 };
  let line = nextLine(cursor);
  const shebang = line?.text.startsWith('#!') === true;
  let lastLine = 0;
  if (shebang) {
    lastLine = 1;
    line = nextLine(cursor);
  }
  const directives: Directive[] = [];
  let escape = '\\';
  for (; line !== undefined; line = nextLine(cursor)) {
    const directive = directiveIn(line, '#');
    if (directive === undefined) break;
    const { name, value, range } = directive;
    if (directives.some((earlier) => earlier.name === name)) {
      if (shebang) break;
      throw dockerfileError(file, range, `the ${name} directive is given twice`, 'keep one of them');
    }
    if (name === 'escape') {
      if (shebang) break;
      if (value !== '\\' && value !== '`') {
        throw dockerfileError(
          file,
          range,
          `${JSON.stringify(value)} cannot be the escape character`,
          'write # escape=\\ or # escape=`',
        );
      }
      escape = value;
    }
    directives.push(directive);
    lastLine = line.number;
  }
  if (!directives.some(({ name }) => name === 'syntax')) {
    const other = otherSyntax(file);
    if (other !== undefined) directives.push(other);
  }
  return { directives, escape, lastLine };
}

/**
 * The front end that a file asks for: `# syntax=`, `// syntax=` or a JSON object with the member `syntax`
 * (BuildKit's parser.DetectSyntax). Data only: Slipway never fetches or runs one.
 */
export function detectSyntax(text: string): Directive | undefined {
  const file: SourceFile = { filename: 'Dockerfile', text, language: 'Dockerfile' };
  const cursor: LineCursor = { text, offset: 0, number: 0 };
  let line = nextLine(cursor);
  if (line?.text.startsWith('#!') === true) line = nextLine(cursor);
  return syntaxIn(line, cursor, '#') ?? otherSyntax(file);
}

function otherSyntax(file: SourceFile): Directive | undefined {
  const cursor: LineCursor = { text: file.text, offset: 0, number: 0 };
  let line = nextLine(cursor);
  if (line?.text.startsWith('#!') === true) line = nextLine(cursor);
  if (line === undefined) return undefined;
  if (line.text.startsWith('//')) return syntaxIn(line, cursor, '//');
  if (!/^\s*\{/.test(line.text)) return undefined;
  const value = jsonSyntax(file.text.slice(line.offset + line.column));
  return value === undefined ? undefined : { name: 'syntax', value, range: lineRange(line, 0, line.text.length) };
}

function syntaxIn(first: PhysicalLine | undefined, cursor: LineCursor, comment: string): Directive | undefined {
  const seen = new Set<string>();
  for (let line = first; line !== undefined; line = nextLine(cursor)) {
    const directive = directiveIn(line, comment);
    if (directive === undefined || directive.name === 'syntax' || seen.has(directive.name)) {
      return directive?.name === 'syntax' ? directive : undefined;
    }
    seen.add(directive.name);
  }
  return undefined;
}

function jsonSyntax(text: string): string | undefined {
  try {
    const value: unknown = JSON.parse(text);
    const syntax = typeof value === 'object' && value !== null && 'syntax' in value ? value.syntax : undefined;
    return typeof syntax === 'string' ? syntax : undefined;
  } catch {
    return undefined;
  }
}

function directiveIn(line: PhysicalLine, comment: string): Directive | undefined {
  const indent = indentOf(line.text);
  if (!line.text.startsWith(comment, indent)) return undefined;
  const start = indent + comment.length;
  const body = line.text.slice(start);
  const match = FORM.exec(body.slice(indentOf(body)));
  const name = NAMES.find((known) => known === match?.[1]?.toLowerCase());
  const value = match?.[2];
  if (name === undefined || value === undefined) return undefined;
  return { name, value, range: lineRange(line, indent, line.text.trimEnd().length) };
}
