/**
 * Loads koffi. Its own loader asks for its package, then for that of the platform, then reads Node's ELF header for the
 * libc: 7 to 13 ms, of which what is wanted, dlopen(3) of one file, is half of one. So that file is looked for where
 * package managers put it; koffi's loader has the rest.
 */
import { existsSync, readFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

/** What we use of it. */
export interface Koffi {
  load(path: null): { func(name: string, result: string, parameters: readonly string[]): BoundFunction };
  errno(): number;
}

/** A C function; `async` runs it on a thread of koffi's. */
export interface BoundFunction {
  (...args: readonly unknown[]): number;
  async(...args: readonly unknown[]): void;
}

/** Errors: whatever Node says of a module that cannot be loaded. */
export function loadKoffi(): Koffi {
  const from = fileURLToPath(import.meta.url);
  return loadNative(dirname(from)) ?? (createRequire(from)('koffi') as Koffi);
}

/**
 * The library itself, of the platform's package beside koffi.
 *
 * @param directory Where to start looking for node_modules, upwards.
 * @returns Undefined when it is not where it is looked for, or cannot be loaded.
 */
export function loadNative(directory: string): Koffi | undefined {
  if (process.platform !== 'linux') return undefined;
  // Not normalized: node_modules/koffi may be a link, and the platform's package is beside what it leads to.
  const beside = `node_modules/koffi/../@koromix/koffi-${process.platform}-${process.arch}`;
  for (let parent = directory; ; parent = dirname(parent)) {
    const packageDirectory = `${parent === '/' ? '' : parent}/${beside}`;
    if (existsSync(packageDirectory)) return openNative(`${packageDirectory}/${libc()}_${process.arch}/koffi.node`);
    if (parent === dirname(parent)) return undefined;
  }
}

function openNative(file: string): Koffi | undefined {
  const module = { exports: {} };
  try {
    process.dlopen(module, file);
  } catch {
    return undefined;
  }
  return module.exports as Koffi;
}

/** As koffi's packages name them. */
function libc(): 'musl' | 'linux' {
  return readFileSync('/proc/self/maps', 'latin1').includes('/ld-musl-') ? 'musl' : 'linux';
}
