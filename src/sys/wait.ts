import { flushCompileCache } from 'node:module';
import { libcFunction } from './libc.ts';

const rawExit = libcFunction('_exit', ['int']);
const waitpid = libcFunction('waitpid', ['int', 'void *', 'int']);
const WNOHANG = 1;

/** Takes the end of a child that Node does not know, if it has ended. */
export function reapChild(pid: number): boolean {
  return waitpid(pid, null, WNOHANG) === pid;
}

/**
 * Ends this process like `process.exit`, but leaves taking it apart to the kernel: Node joins its threads and frees what it
 * has piece by piece, for milliseconds. What Node has not written yet is lost.
 */
export function exitAtOnce(code: number): never {
  // Listeners that clean up, those made last included, come first.
  process.once('exit', () => {
    flushCompileCache();
    rawExit(code);
  });
  process.exit(code);
}
