import { checked, libcFunction, O_CLOEXEC } from './libc.ts';

const pipe2 = libcFunction('pipe2', ['void *', 'int']);

/**
 * A pipe of the kernel's, close-on-exec. What Node calls a pipe to a child is a socket, and a program that opens
 * /dev/stdout on a socket fails with ENXIO.
 */
export function makePipe(): { readonly read: number; readonly write: number } {
  const fds = new Int32Array(2);
  checked(pipe2(new Uint8Array(fds.buffer), O_CLOEXEC), 'pipe2');
  return { read: fds[0] ?? -1, write: fds[1] ?? -1 };
}
