import type { Mirrors } from './types.ts';

export function parseMirrors(text: string): Mirrors {
  return new Map([[text, []]]);
}
