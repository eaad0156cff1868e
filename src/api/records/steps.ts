import { createHash } from 'node:crypto';
import type { BuildEventSink, Digest } from '../../contracts/index.ts';

/** A step of our own that has begun. */
export interface OpenStep {
  /** For what happens in it. */
  readonly events: BuildEventSink;
  /** @param error Absent = done. */
  end(error?: unknown): void;
}

/** Wraps work of our own (loading files, exporting) as a step of the build, as BuildKit's `[internal] ...` vertices. */
export async function step<T>(
  events: BuildEventSink,
  name: string,
  work: (events: BuildEventSink) => Promise<T>,
): Promise<T> {
  const begun = beginStep(events, name);
  try {
    const result = await work(begun.events);
    begun.end();
    return result;
  } catch (error) {
    begun.end(error);
    throw error;
  }
}

/** A step whose end is elsewhere. */
export function beginStep(events: BuildEventSink, name: string): OpenStep {
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
  return {
    events: bound,
    end: (error) =>
      events({
        ...vertex,
        completed: now(),
        ...(error === undefined ? {} : { error: messageOf(error) }),
      }),
  };
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}

/** Milliseconds since the epoch, with fractions. */
export function now(): number {
  return performance.timeOrigin + performance.now();
}
