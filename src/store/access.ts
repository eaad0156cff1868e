/** Access times are kept to the hour, so that a build that finds everything cached writes nothing. */
const RESOLUTION = 60 * 60 * 1000;

/** @param used A `used` column, milliseconds. */
export function isStale(used: unknown): boolean {
  return Date.now() - Number(used) > RESOLUTION;
}
