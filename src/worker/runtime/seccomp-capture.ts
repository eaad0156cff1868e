/**
 * crun compiles the seccomp profile anew for each container, which takes twice as long as all the rest. It keeps the
 * compiled program in its state directory while the container lives: the first step's is taken from there, and further
 * steps get it ready-made (crun(1), `run.oci.seccomp_bpf_data`).
 */
import { closeSync, openSync, readFileSync } from 'node:fs';

/** Milliseconds between two looks for the file. */
const PAUSE = 1;
/** Bytes of an instruction (linux/filter.h). */
const INSTRUCTION = 8;

/**
 * @param path Where crun writes the program.
 * @returns To be called when the container has ended: the program, or undefined when it was not to be had. The file is
 *   gone then, its open descriptor is not.
 */
export function captureSeccomp(path: string): () => Buffer | undefined {
  let fd = -1;
  let timer: NodeJS.Timeout | undefined;
  const look = (): void => {
    try {
      fd = openSync(path, 'r');
    } catch {
      timer = setTimeout(look, PAUSE);
    }
  };
  timer = setTimeout(look, PAUSE);
  return () => {
    clearTimeout(timer);
    if (fd < 0) return undefined;
    try {
      const program = readFileSync(fd);
      return program.length > 0 && program.length % INSTRUCTION === 0 ? program : undefined;
    } finally {
      closeSync(fd);
    }
  };
}
