/**
 * Archives into a Docker or Podman that runs: over its API where we can reach it, else through its program. Which one is
 * found out before anything is built.
 */
import { programSink } from '../sink.ts';
import type { Sink } from '../sink.ts';
import { loadSink } from './docker-api.ts';
import type { ImageDaemon } from './find-daemon.ts';

export { findImageDaemon } from './find-daemon.ts';
export type { ImageDaemon } from './find-daemon.ts';

/** Where the bytes of an archive are written to be loaded. */
export function daemonSink(daemon: ImageDaemon, signal: AbortSignal): Sink {
  if (daemon.kind === 'api') return loadSink(daemon.address, signal);
  const hint = 'add dest=FILE to write an archive instead, or use type=image for the local store';
  return programSink(daemon.command, daemon.args, hint);
}
