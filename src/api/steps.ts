import { createHash } from 'node:crypto';
import type { BuildEventSink, Digest } from '../contracts/index.ts';

/** Wraps work of our own (loading files, exporting) as a step of the build, as BuildKit's `[internal] ...` vertices. */
export async function step<T>(
  events: BuildEventSink,
  name: string,
  work: (events: BuildEventSink) => Promise<T>,
): Promise<T> {
  const digest: Digest = `sha256:${createHash('sha256').update(`step\0${name}`).digest('hex')}`;
  const started = now();
  const vertex = { type: 'vertex', digest, inputs: [], name, started } as const;
  events(vertex);
  const bound: BuildEventSink = (event) =>
    events('vertex' in event && event.type !== 'vertex' ? { ...event, vertex: digest } : event);
  try {
    const result = await work(bound);
    events({ ...vertex, completed: now() });
    return result;
  } catch (error) {
    events({ ...vertex, completed: now(), error: error instanceof Error ? error.message : String(error) });
    throw error;
  }
}

/** Milliseconds since the epoch, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
