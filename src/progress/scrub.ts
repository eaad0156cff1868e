/** What is published or kept of a build must not give away what was meant for the build alone. */

/** Shorter values would blank out half of any document. */
const SHORTEST = 4;

/**
 * The value, with every string in it free of the given secrets and of credentials in URLs (keys of objects too). Bytes
 * that are base64 are for whoever makes them.
 */
export function scrub<T>(value: T, secrets: readonly string[] = []): T {
  const hidden = secrets
    .map((secret) => secret.replace(/[\r\n]+$/, ''))
    .filter((secret) => secret.length >= SHORTEST)
    .sort((a, b) => b.length - a.length);
  return scrubValue(value, hidden) as T;
}

function scrubValue(value: unknown, hidden: readonly string[]): unknown {
  if (typeof value === 'string') return scrubText(value, hidden);
  if (Array.isArray(value)) return value.map((item) => scrubValue(item, hidden));
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [scrubText(key, hidden), scrubValue(item, hidden)]),
  );
}

function scrubText(text: string, hidden: readonly string[]): string {
  return hidden.reduce((left, secret) => left.replaceAll(secret, '*****'), withoutCredentials(text));
}

/**
 * `https://TOKEN@host` and `scheme://user:password@host` without what is before the `@`; a user alone stays where it is
 * part of an address, as in `ssh://git@host`.
 */
export function withoutCredentials(text: string): string {
  if (!text.includes('@')) return text;
  return text
    .replace(/\b(https?:\/\/)[^\s/?#@"']+@/gi, '$1')
    .replace(/\b([a-z][a-z0-9+.-]*:\/\/)[^\s/?#@:"']*:[^\s/?#@"']*@/gi, '$1');
}
