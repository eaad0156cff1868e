/** Explanations in words. */
import type { Explanation, Reason } from './types.ts';

/** Longer values are cut in the middle. */
const VALUE_MAX = 60;
/** Hex digits of a digest shown. */
const DIGEST_SHOWN = 12;

/** `src/app.ts changed (sha256 3f2a... -> 9c01...)`, without a final dot. */
export function reasonText(reason: Reason): string {
  switch (reason.kind) {
    case 'no-cache':
      return '--no-cache';
    case 'first-build':
      return 'first build';
    case 'new-step':
      return 'new step';
    case 'pruned':
      return 'pruned: its result is not in the store any more';
    case 'unfinished':
      return 'it did not finish the last time';
    case 'bytes':
      return 'known, but its files were pruned and are needed';
    case 'command':
      return `command changed: ${value(reason.from)} -> ${value(reason.to)}`;
    case 'variable':
      return `${reason.scope} ${reason.name} ${value(reason.from)} -> ${value(reason.to)}`;
    case 'option':
      return reason.from === undefined && reason.to === undefined
        ? `${reason.name} changed`
        : `${reason.name} ${value(reason.from)} -> ${value(reason.to)}`;
    case 'file':
      return `${fileText(reason)}${because(reason.cause)}`;
    case 'files':
      return reason.count === undefined
        ? `files of ${reason.input} changed${because(reason.cause)}`
        : `${reason.count} more files of ${reason.input}`;
    case 'base':
      return isDigest(reason.from) && isDigest(reason.to)
        ? `base ${reason.name} digest ${digest(reason.from)} -> ${digest(reason.to)}`
        : `base ${reason.from} -> ${reason.to}`;
    case 'source':
      return `${reason.name} changed (${digest(reason.from)} -> ${digest(reason.to)})`;
    case 'parent':
      return `parent step ${place(reason)}${reason.cause === undefined ? '' : `: ${reasonText(reason.cause)}`}`;
    case 'removed-step':
      return `step removed: ${reason.name}`;
    case 'order':
      return 'the order changed';
    case 'replaced':
      return 'made anew with --no-cache';
    case 'unknown':
      return 'what changed was not kept';
  }
}

/**
 * Where and why, the reason in a line of its own.
 *
 * @param all Every reason; else the first, and how many more there are.
 */
export function explanationText({ name, line, reasons }: Explanation, all = false): string {
  const where = line === undefined ? name : `line ${line}: ${name}`;
  const [first, ...more] = reasons;
  if (first === undefined || all) return [where, ...reasons.map((reason) => `    ${reasonText(reason)}`)].join('\n');
  const rest = more.reduce((sum, reason) => sum + (reason.kind === 'files' ? (reason.count ?? 1) : 1), 0);
  return `${where}\n    ${reasonText(first)}${rest > 0 ? ` (+${rest} more)` : ''}`;
}

function fileText({ change, path, input, from, to }: Reason & { kind: 'file' }): string {
  const name = input === 'context' ? value(path) : `${value(`/${path}`)} of ${input}`;
  switch (change) {
    case 'changed':
      return `${name} changed (sha256 ${short(from)} -> ${short(to)})`;
    case 'added':
      return `${name} added`;
    case 'removed':
      return `${name} removed`;
    case 'mode':
      return `${name} mode ${from ?? ''} -> ${to ?? ''}`;
    case 'owner':
      return `${name} owner ${from ?? ''} -> ${to ?? ''}`;
    case 'type':
      return `${name} was a ${from ?? ''}, is a ${to ?? ''}`;
    case 'target':
      return `${name} link ${value(from)} -> ${value(to)}`;
    case 'xattrs':
      return `${name} extended attributes changed`;
  }
}

function because(cause: Reason | undefined): string {
  return cause === undefined ? '' : `, from ${reasonText(cause).replace(/^parent step /, '')}`;
}

function place({ line, name }: { readonly line?: number | undefined; readonly name: string }): string {
  return line === undefined ? name : `line ${line}`;
}

function isDigest(text: string): boolean {
  return /^sha256:[0-9a-f]{64}$/.test(text);
}

function digest(text: string): string {
  return isDigest(text) ? text.slice(0, 7 + DIGEST_SHOWN) : value(text);
}

/** The first digits of a digest. */
function short(hex: string | undefined): string {
  return hex === undefined || hex === '' ? 'none' : `${hex.slice(0, 8)}...`;
}

/** One line that cannot confuse a terminal. */
function value(text: string | undefined): string {
  if (text === undefined) return 'unset';
  if (text === '') return '""';
  const clean = text.replace(/\s+/g, ' ').replace(/[\u0000-\u001f\u007f-\u009f]/g, '?');
  const half = VALUE_MAX / 2;
  return clean.length <= VALUE_MAX ? clean : `${clean.slice(0, half)}...${clean.slice(-half)}`;
}
