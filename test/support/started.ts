/** What a file's first hook starts, for its tests. */
export function started<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('not before the hooks have run');
  return value;
}
