import type { Chown, UserRef } from '../llb/index.ts';

const UID_MAX = 0x7fff_ffff;

/**
 * `user[:group]` as names or numbers. `input` is the op's input whose passwd and group say what names mean, -1 = none.
 */
export function parseOwner(text: string, input: number): Chown {
  const colon = text.indexOf(':');
  if (colon === -1) return { user: parseUser(text, input) };
  return { user: parseUser(text.slice(0, colon), input), group: parseUser(text.slice(colon + 1), input) };
}

function parseUser(text: string, input: number): UserRef {
  if (text === 'root' || text === '') return { kind: 'id', id: 0 };
  const number = Number(text);
  if (/^[+-]?\d+$/.test(text) && number <= UID_MAX && number >= -UID_MAX - 1) {
    return { kind: 'id', id: number >>> 0 };
  }
  return { kind: 'name', name: text, input };
}
