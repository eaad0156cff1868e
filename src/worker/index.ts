/**
 * Carries out one op of a definition on this machine. Two halves: what is computed on trees, in the main process
 * (`ops/`: file, merge, diff, content keys; no directory is made for any of them), and what needs the kernel, which runs
 * in the executor's child (`runtime/` starts steps, `snapshot/` makes and reads directories, `mounts/` fills them).
 *
 *     vertex + input snapshots ──createWorker.run──> new layers: a tree in the store, bytes where `Layer.locate` says
 *
 * Not here: what has to run, and under which key (`solver/`); where inputs come from (`source/`); the child's start and
 * its messages (`executor/`).
 */
export { ensureDirectory } from './ops/directory.ts';
export { sourceMissing } from './ops/missing.ts';
export { resolvePath } from './ops/path.ts';
export { requireRunnable } from './emulation.ts';
export { holdCacheToFill, holdCacheToRead } from './mounts/hold-cache.ts';
export type { HeldCache } from './mounts/hold-cache.ts';
/** Loaded when images are squashed. */
export const loadSquash = async () => await import('./ops/squash.ts');
export { createWorker } from './worker.ts';
export type { WorkerDeps } from './types.ts';
