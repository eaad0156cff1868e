/** Nanoseconds of Go's duration units. */
const UNITS: Readonly<Record<string, number>> = {
  ns: 1,
  us: 1e3,
  '\u00b5s': 1e3,
  '\u03bcs': 1e3,
  ms: 1e6,
  s: 1e9,
  m: 60e9,
  h: 3600e9,
};
/** Go's time.Duration is an int64. */
const MAX_NANOSECONDS = 2 ** 63;

/**
 * Go's `time.ParseDuration`: `1h30m`, `1.5s`, `-2ms`, `0`. Nanoseconds; undefined for what is no duration.
 */
export function parseDuration(text: string): number | undefined {
  const match = /^([-+]?)(.*)$/s.exec(text);
  const body = match?.[2] ?? '';
  if (body === '0') return 0;
  let total = 0;
  let at = 0;
  const part = /(\d+\.?\d*|\.\d+)(ns|us|\u00b5s|\u03bcs|ms|s|m|h)/y;
  while (at < body.length) {
    part.lastIndex = at;
    const [whole, value, unit] = part.exec(body) ?? [];
    if (whole === undefined || value === undefined || unit === undefined) return undefined;
    total += Math.trunc(Number(value) * (UNITS[unit] ?? 0));
    at += whole.length;
  }
  if (body === '' || total >= MAX_NANOSECONDS) return undefined;
  return match?.[1] === '-' ? -total : total;
}
