/** The casing of keywords: what rules compare, and what repairs write. */
export type Casing = 'lower' | 'upper';

/** Undefined for a keyword that mixes both. */
export function casingOf(keyword: string): Casing | undefined {
  if (keyword === keyword.toLowerCase()) return 'lower';
  return keyword === keyword.toUpperCase() ? 'upper' : undefined;
}

export function inCasing(keyword: string, casing: Casing): string {
  return casing === 'lower' ? keyword.toLowerCase() : keyword.toUpperCase();
}
