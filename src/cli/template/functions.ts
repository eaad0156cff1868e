/** Functions of Go's text/template, and those that docker adds (docker/cli, templates.go). */
import { templateError } from './parse.ts';

export type Value = unknown;

/** @throws BuildError `usage` for a function that there is not */
export function callFunction(name: string, args: readonly Value[], template: string): Value {
  if (!Object.hasOwn(FUNCTIONS, name)) {
    throw templateError(template, `there is no function ${name}`, `there are ${Object.keys(FUNCTIONS).join(', ')}`);
  }
  return FUNCTIONS[name]?.(args);
}

const FUNCTIONS: Readonly<Record<string, (args: readonly Value[]) => Value>> = {
  json: ([value]) => escapeHtml(value === undefined ? 'null' : JSON.stringify(value)),
  join: ([list, separator]) => (Array.isArray(list) ? list.map(show).join(text(separator)) : ''),
  split: ([value, separator]) => text(value).split(text(separator)),
  title: ([value]) => text(value).replace(/\b\p{L}/gu, (letter) => letter.toUpperCase()),
  lower: ([value]) => text(value).toLowerCase(),
  upper: ([value]) => text(value).toUpperCase(),
  pad: ([value, before, after]) =>
    value === '' ? '' : ' '.repeat(Number(before)) + text(value) + ' '.repeat(Number(after)),
  truncate: ([value, length]) => text(value).slice(0, Number(length)),
  println: (args) => `${args.map(show).join(' ')}\n`,
  print: (args) => args.map(show).join(''),
  printf: ([format, ...args]) => printf(text(format), args),
  len: ([value]) => sizeOf(value),
  index: ([value, ...keys]) => keys.reduce<Value>(at, value),
  slice: ([value, from = 0, to]) =>
    typeof value === 'string' || Array.isArray(value)
      ? value.slice(Number(from), to === undefined ? undefined : Number(to))
      : undefined,
  eq: ([first, ...others]) => others.some((other) => other === first),
  ne: ([a, b]) => a !== b,
  lt: ([a, b]) => less(a, b),
  le: ([a, b]) => a === b || less(a, b),
  gt: ([a, b]) => less(b, a),
  ge: ([a, b]) => a === b || less(b, a),
  and: (args) => args.find((value) => !isTrue(value)) ?? args.at(-1),
  or: (args) => args.find(isTrue) ?? args.at(-1),
  not: ([value]) => !isTrue(value),
};

/** As Go's `if` sees it: empty is false. */
export function isTrue(value: Value): boolean {
  if (Array.isArray(value)) return value.length > 0;
  if (value !== null && typeof value === 'object') return Object.keys(value).length > 0;
  return value !== undefined && value !== null && value !== false && value !== 0 && value !== '';
}

/** As Go's fmt prints it with %v. */
export function show(value: Value): string {
  if (value === undefined || value === null) return '<no value>';
  if (Array.isArray(value)) return `[${value.map(show).join(' ')}]`;
  if (typeof value === 'object') {
    const pairs = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1));
    return `map[${pairs.map(([key, inner]) => `${key}:${show(inner)}`).join(' ')}]`;
  }
  return text(value);
}

function text(value: Value): string {
  return typeof value === 'string' || typeof value === 'number' || typeof value === 'boolean' ? String(value) : '';
}

export function at(value: Value, key: Value): Value {
  if (Array.isArray(value)) return (value as readonly Value[])[Number(key)];
  if (value !== null && typeof value === 'object') {
    return Object.hasOwn(value, text(key)) ? (value as Readonly<Record<string, Value>>)[text(key)] : undefined;
  }
  return undefined;
}

function sizeOf(value: Value): number {
  if (typeof value === 'string') return Buffer.byteLength(value);
  return value !== null && typeof value === 'object' ? Object.keys(value).length : 0;
}

function less(a: Value, b: Value): boolean {
  return typeof a === 'number' && typeof b === 'number' ? a < b : text(a) < text(b);
}

function printf(format: string, args: readonly Value[]): string {
  let next = 0;
  return format.replace(/%(-?)(\d*)([vsdqtx%])/g, (_, left: string, width: string, verb: string) => {
    if (verb === '%') return '%';
    const value = args[next++];
    const shown = verb === 'q' ? JSON.stringify(text(value)) : show(value);
    return left === '' ? shown.padStart(Number(width)) : shown.padEnd(Number(width));
  });
}

/** As Go's encoding/json: what a page could take for markup is escaped. */
function escapeHtml(json: string): string {
  return json.replace(/[<>&]/g, (sign) => `\\u00${sign.charCodeAt(0).toString(16)}`);
}
