/**
 * The environment of a stage at one moment: ENV and ARG together, in the order in which they reach a process. A name
 * that is set again moves to the end (BuildKit: client/llb EnvList.AddOrReplace).
 */
export type Env = ReadonlyMap<string, string>;

export const EMPTY_ENV: Env = new Map();

export function setEnv(env: Env, name: string, value: string): Env {
  const next = new Map(env);
  next.delete(name);
  return next.set(name, value);
}

/** `NAME=value`, as in an image config. */
export function envToStrings(env: Env): string[] {
  return Array.from(env, ([name, value]) => `${name}=${value}`);
}

/** Without `=` the value is empty. */
export function splitEnv(entry: string): readonly [name: string, value: string] {
  const equals = entry.indexOf('=');
  return equals === -1 ? [entry, ''] : [entry.slice(0, equals), entry.slice(equals + 1)];
}

/** An image config's list with a name set: in its place, else at the end. */
export function setInList(list: readonly string[], name: string, value: string): readonly string[] {
  const entry = `${name}=${value}`;
  const index = list.findIndex((other) => splitEnv(other)[0] === name);
  return index === -1 ? [...list, entry] : list.with(index, entry);
}
