import { createHash } from 'node:crypto';

/**
 * The names in the order in which a key should try them: rendezvous hashing (Thaler and Ravishankar, 1998). Equal keys
 * get equal orders on every machine; when a name goes, only its keys move.
 */
export function rankByKey(names: readonly string[], key: string): readonly string[] {
  const weighed = names.map((name) => ({
    name,
    weight: createHash('sha256').update(key).update('\0').update(name).digest('hex'),
  }));
  return weighed.sort((a, b) => (a.weight < b.weight ? 1 : a.weight > b.weight ? -1 : 0)).map(({ name }) => name);
}
