/**
 * V8 lets the space of young objects grow to a hundred megabytes when much is kept of what is made, which is so wherever
 * trees are made. Larger is not quicker there: what is kept is moved twice, whatever the size.
 *
 * The flag is the whole process', so only a process that is ours sets it: `bin/slipway.js` says so.
 */
const OWN_PROCESS = Symbol.for('slipway.process');
let done = false;

/** From now on that space stays as large as it is. */
export function boundYoungGeneration(): void {
  if (done || (globalThis as Readonly<Record<symbol, unknown>>)[OWN_PROCESS] !== true) return;
  done = true;
  process.getBuiltinModule('node:v8').setFlagsFromString('--semi-space-growth-factor=1');
}
