/** Values as Go's strconv and docker/go-units read them; undefined for what they refuse. */

/** `strconv.ParseBool`. */
export function parseBool(text: string): boolean | undefined {
  if (/^(1|t|T|TRUE|true|True)$/.test(text)) return true;
  if (/^(0|f|F|FALSE|false|False)$/.test(text)) return false;
  return undefined;
}

/** `strconv.ParseUint(text, base, 32)`. */
export function parseUint32(text: string, base: 8 | 10): number | undefined {
  if (!(base === 8 ? /^[0-7]+$/ : /^\d+$/).test(text)) return undefined;
  const value = Number.parseInt(text, base);
  return value < 2 ** 32 ? value : undefined;
}

const SIZE_UNITS = 'kmgtp';

/** `units.RAMInBytes`: `64m`, `1.5GiB`, `512`; bytes, units are powers of 1024. */
export function parseBytes(text: string): number | undefined {
  const match = /^(\d+(?:\.\d+)?) ?(?:([kKmMgGtTpP])[iI]?)?[bB]?$/.exec(text);
  if (match === null) return undefined;
  const [, value, unit] = match;
  const power = unit === undefined ? 0 : SIZE_UNITS.indexOf(unit.toLowerCase()) + 1;
  return Math.trunc(Number(value) * 1024 ** power);
}
