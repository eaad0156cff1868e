const OWN_PROCESS = Symbol.for('slipway.process');

/** Whether `bin/slipway.js` started this process, so that V8's flags, which count for all of it, are ours to set. */
export function isOwnProcess(): boolean {
  return (globalThis as Readonly<Record<symbol, unknown>>)[OWN_PROCESS] === true;
}
