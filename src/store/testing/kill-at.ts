/**
 * Loaded before the program (`--import`): ends it as a kill does, just before the change to the file system whose number
 * KILL_AT says. In distinction from a kill by the clock it comes at the same place on every machine.
 */
import { syncBuiltinESMExports } from 'node:module';

type Change = (...args: readonly unknown[]) => unknown;

const fs = process.getBuiltinModule('node:fs') as unknown as Record<string, Change>;
let left = Number(process.env['KILL_AT']);

for (const name of ['renameSync', 'unlinkSync', 'rmdirSync']) {
  const original = fs[name];
  if (original === undefined) throw new Error(`there is no ${name}`);
  fs[name] = (...args) => {
    if (--left === 0) process.kill(process.pid, 'SIGKILL');
    return original(...args);
  };
}
syncBuiltinESMExports();
