import { isOwnProcess } from './own-process.ts';

/**
 * Collects all garbage and gives the room back to the kernel, in a process that is ours. What one phase of a large build
 * leaves behind V8 looks for only when the heap has doubled, and keeps the pages then. It takes some 40 ms: for between
 * two phases of which each takes seconds.
 */
export function giveBackMemory(): void {
  if (!isOwnProcess()) return;
  const { setFlagsFromString } = process.getBuiltinModule('node:v8');
  setFlagsFromString('--expose-gc');
  const collect = process.getBuiltinModule('node:vm').runInNewContext('gc') as (options: object) => void;
  setFlagsFromString('--no-expose-gc');
  // Of the flavors only this one lets go of the pages that V8 has ready for itself.
  collect({ type: 'major', execution: 'sync', flavor: 'last-resort' });
}
