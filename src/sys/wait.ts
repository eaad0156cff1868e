import { libcFunction } from './libc.ts';

const waitpid = libcFunction('waitpid', ['int', 'void *', 'int']);
const WNOHANG = 1;

/** Takes the end of a child that Node does not know, if it has ended. */
export function reapChild(pid: number): boolean {
  return waitpid(pid, null, WNOHANG) === pid;
}
