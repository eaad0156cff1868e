import type { BuildEventSink, Digest } from '../contracts/index.ts';

/** Filled in by who knows which step exports (`api/steps.ts`). */
const NO_VERTEX: Digest = 'sha256:';

/** A line of progress within the export; bytes where `total` is given. */
export function status(events: BuildEventSink, name: string, total = 0) {
  const started = Date.now();
  const say = (current: number, completed?: number) =>
    events({
      type: 'status',
      vertex: NO_VERTEX,
      id: name,
      name,
      current,
      total,
      timestamp: Date.now(),
      started,
      completed,
    });
  say(0);
  return { advance: (current: number) => say(current), done: () => say(total, Date.now()) };
}
