import { isOwnProcess } from './own-process.ts';

let done = false;

/**
 * From now on the space of young objects stays about as large as it is, on this thread and those that start later. Where
 * much is kept of what is made, which is so wherever trees are made, V8 lets it grow to 128 MiB (Node 24; 5 with this).
 * Larger is not quicker there: what is kept is moved twice, whatever the size.
 *
 * The flag is the whole process', so only one that is ours sets it.
 */
export function boundYoungGeneration(): void {
  if (done || !isOwnProcess()) return;
  done = true;
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}
