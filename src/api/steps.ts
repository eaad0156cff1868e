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
  // Exporters do not know which vertex they are.
  const bound: BuildEventSink = (event) => {
    if (event.type === 'status' || event.type === 'log' || event.type === 'warning')
      events({ ...event, vertex: digest });
    else events(event);
  };
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
