/** A process to be killed: prunes the state directory that it is given, and says when it begins. */
import { writeSync } from 'node:fs';
import { openStore } from '../open.ts';

const [, , root, keep] = process.argv;
if (root === undefined) throw new Error('which state directory?');
const store = await openStore({ root });
await store.usage();
writeSync(1, 'begin\n');
await store.prune({ all: true, keepStorage: keep === undefined ? undefined : () => Number(keep) });
store.close();
writeSync(1, 'end\n');
