import { BuildError, type BuildEvent, type BuildEventSink, type Digest } from '../contracts/index.ts';

import { withoutCredentials } from './scrub.ts';

const mask = '*****';

/** Shorter values would blank out half of any log. */
const shortest = 4;
/** Of the lines of a value of several lines. */
const shortestLine = 8;

/**
 * Hides the values of secrets in everything that the events say: names, statuses, warnings, errors and output, there also
 * when a value is cut by the end of a chunk. Credentials in URLs are hidden too, but in the output of steps.
 *
 * @param values Looked at with every event, so that values can be added while a build runs. Values of less than four
 *   characters are not hidden. A trailing newline of a value does not count.
 */
export function redactSecrets(sink: BuildEventSink, values: () => Iterable<string>): BuildEventSink {
  /** Ends of chunks that may be the beginning of a value, as latin1. */
  const held = new Map<string, { text: string; event: BuildEvent & { type: 'log' } }>();

  const release = (vertex: Digest) => {
    for (const stream of [1, 2]) {
      const name = `${vertex} ${stream}`;
      const rest = held.get(name);
      if (rest === undefined) continue;
      held.delete(name);
      sink({ ...rest.event, data: Buffer.from(rest.text, 'latin1') });
    }
  };

  return (event) => {
    const secrets = prepared(values());
    if (event.type === 'vertex' && event.completed !== undefined) release(event.digest);
    if (event.type !== 'log') {
      sink(redactTexts(event, secrets));
      return;
    }
    if (secrets.length === 0) {
      sink(event);
      return;
    }

    // Latin1 keeps each byte a character of its own, so that output that is no text passes unchanged.
    const bytes = secrets.map((secret) => Buffer.from(secret, 'utf8').toString('latin1'));
    const name = `${event.vertex} ${event.stream}`;
    const text = replaceAll((held.get(name)?.text ?? '') + Buffer.from(event.data).toString('latin1'), bytes);
    const keep = unfinished(text, bytes);
    held.delete(name);
    if (keep > 0) held.set(name, { text: text.slice(text.length - keep), event });
    if (keep < text.length) sink({ ...event, data: Buffer.from(text.slice(0, text.length - keep), 'latin1') });
  };
}

/** The same for an error: its message, its lines, its hint; not the excerpt of the user's own file. */
export function redactError(error: BuildError, values: Iterable<string>): BuildError {
  const secrets = prepared(values);
  const { message, hint, detail = [], ...rest } = error.toInit();
  return new BuildError({
    ...rest,
    message: hidden(message, secrets),
    hint: hint === undefined ? undefined : hidden(hint, secrets),
    detail: detail.map((line) => hidden(line, secrets)),
  });
}

/** Longest first, so that a value that contains another is hidden whole. */
function prepared(values: Iterable<string>): readonly string[] {
  const secrets = new Set<string>();
  for (const value of values) {
    const trimmed = value.replace(/[\r\n]+$/, '');
    if (trimmed.length >= shortest) secrets.add(trimmed);
    // Parts of a key are as secret as all of it, and a log shows it line by line.
    const lines = trimmed.split(/[\r\n]+/);
    if (lines.length > 1) for (const line of lines) if (line.length >= shortestLine) secrets.add(line);
  }
  return [...secrets].sort((a, b) => b.length - a.length);
}

function redactTexts(event: BuildEvent, secrets: readonly string[]): BuildEvent {
  const hide = <T extends string | undefined>(text: T) => (text === undefined ? undefined : hidden(text, secrets)) as T;
  switch (event.type) {
    case 'vertex':
      return { ...event, name: hide(event.name), error: hide(event.error) };
    case 'status':
      return { ...event, id: hide(event.id), name: hide(event.name) };
    case 'warning':
      return { ...event, message: hide(event.message), hint: hide(event.hint), url: hide(event.url) };
    case 'engine':
      return { ...event, detail: hide(event.detail) };
    case 'stage':
    case 'image':
    case 'log':
      return event;
  }
}

/** In a text of ours; what steps print is theirs. */
function hidden(text: string, secrets: readonly string[]): string {
  return replaceAll(withoutCredentials(text), secrets);
}

function replaceAll(text: string, secrets: readonly string[]): string {
  let result = text;
  for (const secret of secrets) result = result.replaceAll(secret, mask);
  return result;
}

/** Characters at the end of `text` that a value could begin with. */
function unfinished(text: string, secrets: readonly string[]): number {
  for (let length = Math.min(text.length, (secrets[0]?.length ?? 1) - 1); length > 0; length--) {
    const end = text.slice(text.length - length);
    if (secrets.some((secret) => secret.length > length && secret.startsWith(end))) return length;
  }
  return 0;
}
