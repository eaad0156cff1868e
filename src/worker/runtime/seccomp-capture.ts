/**
 * crun compiles the seccomp profile anew for each container, which takes twice as long as all the rest. It keeps the
 * compiled program in its state directory while the container lives: the first step's is taken from there, and further
 * steps get it ready-made (crun(1), `run.oci.seccomp_bpf_data`).
 */
import { closeSync, openSync, readFileSync } from 'node:fs';
import type { CompiledSeccomp } from './seccomp-cache.ts';

/** Milliseconds between two looks for the file. */
const PAUSE = 1;
/** Bytes of an instruction (linux/filter.h). */
const INSTRUCTION = 8;

export interface SeccompCapture {
  /** To be called with the runtime's pid when it runs. */
  readonly started: (pid: number) => void;
  /**
   * To be called when the container has ended: the program, or undefined when it was not to be had. Its file is gone
   * then, the open descriptor is not.
   */
  take(): CompiledSeccomp | undefined;
}

/** @param path Where crun writes the program. */
export function captureSeccomp(path: string): SeccompCapture {
  let fd = -1;
  let files: readonly string[] = [];
  let timer: NodeJS.Timeout | undefined;
  const look = (pid: number): void => {
    try {
      fd = openSync(path, 'r');
      files = mappedFiles(pid);
    } catch {
      timer = setTimeout(look, PAUSE, pid);
    }
  };
  return {
    started(pid) {
      timer = setTimeout(look, PAUSE, pid);
    },
    take() {
      clearTimeout(timer);
      if (fd < 0) return undefined;
      try {
        const program = readFileSync(fd);
        return program.length > 0 && program.length % INSTRUCTION === 0 ? { program, files } : undefined;
      } finally {
        closeSync(fd);
      }
    },
  };
}

/** The program that a process runs and its libraries; none when it has ended. */
function mappedFiles(pid: number): readonly string[] {
  try {
    const lines = readFileSync(`/proc/${pid}/maps`, 'utf8').split('\n');
    return [...new Set(lines.flatMap((line) => /^(?:\S+ +){5}(\/.*)$/.exec(line)?.[1] ?? []))];
  } catch {
    return [];
  }
}
