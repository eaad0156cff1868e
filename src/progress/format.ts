const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];

/** Decimal units, three significant digits, as `docker images` counts: `214 B`, `3.1 MB`, `611 MB`. */
export function humanSize(bytes: number): string {
  const [value, unit] = scale(bytes, (n) => Number(n.toPrecision(3)));
  return `${value} ${unit}`;
}

/** Decimal units with two decimals, as BuildKit shows transfers: `120B`, `12.58MB`. */
export function transferSize(bytes: number): string {
  const [value, unit] = scale(bytes, (n) => Number(n.toFixed(2)));
  return unit === 'B' ? `${value}${unit}` : `${value.toFixed(2)}${unit}`;
}

/** `round` decides what counts as 1000: 999.9 kB is 1 MB when three digits are shown. */
function scale(bytes: number, round: (n: number) => number): [number, string] {
  let value = Math.max(0, bytes);
  let unit = 0;
  while (round(value) >= 1000 && unit < units.length - 1) {
    value /= 1000;
    unit++;
  }
  return [round(value), units[unit] ?? ''];
}

/** Seconds with one decimal, `0.3s`. */
export function seconds(milliseconds: number): string {
  return `${(Math.max(0, milliseconds) / 1000).toFixed(1)}s`;
}

/** Seconds since a step started, in at most five characters for the first hours: `0.123`, `12.34`, `123.4`. */
export function logTime(milliseconds: number): string {
  const value = Math.max(0, milliseconds) / 1000;
  return value.toFixed(value < 10 ? 3 : value < 100 ? 2 : 1);
}

/** RFC 3339 in UTC with as many decimals as there are, as Go's time.RFC3339Nano. */
export function rfc3339(milliseconds: number): string {
  const whole = Math.floor(milliseconds / 1000);
  const nanos = Math.round((milliseconds - whole * 1000) * 1e6);
  const [second, fraction] = nanos >= 1e9 ? [whole + 1, nanos - 1e9] : [whole, nanos];
  const decimals = fraction === 0 ? '' : `.${String(fraction).padStart(9, '0').replace(/0+$/, '')}`;
  return new Date(second * 1000).toISOString().replace('.000Z', `${decimals}Z`);
}
