/**
 * Loaded before the program (`NODE_OPTIONS=--import`): writes a line to the file COUNT_CALLS for each file that is opened
 * or looked at, each directory that is read, and each process and thread that is started, also by its threads and children.
 */
import { syncBuiltinESMExports } from 'node:module';

type Owner = Record<string, (...args: readonly unknown[]) => unknown>;
type Thread = new (file: URL, ...rest: readonly unknown[]) => object;

const fs = process.getBuiltinModule('node:fs');
const children = process.getBuiltinModule('node:child_process');
const threads = process.getBuiltinModule('node:worker_threads') as unknown as { Worker: Thread };
const { writeSync } = fs;
const log = fs.openSync(process.env['COUNT_CALLS'] ?? '/dev/null', 'a');

function count(owner: object, name: string, word: string): void {
  const functions = owner as Owner;
  const original = functions[name];
  if (original === undefined) throw new Error(`there is no ${name} to count`);
  functions[name] = function (this: unknown, ...args) {
    const [what] = args;
    writeSync(log, `${word} ${Buffer.isBuffer(what) ? what.toString('latin1') : String(what)}\n`);
    return original.apply(this, [...args]);
  };
}

for (const name of ['openSync', 'open', 'readFileSync', 'readFile', 'createReadStream', 'copyFileSync', 'copyFile']) {
  count(fs, name, 'open');
}
for (const name of ['open', 'readFile', 'copyFile']) count(fs.promises, name, 'open');
count(fs, 'lstatSync', 'stat');
count(fs, 'readdirSync', 'list');
count(children, 'spawn', 'process');
const { Worker } = threads;
threads.Worker = class extends Worker {
  constructor(file: URL, ...rest: readonly unknown[]) {
    writeSync(log, `thread ${file.href}\n`);
    super(file, ...rest);
  }
};
syncBuiltinESMExports();
