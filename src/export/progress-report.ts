import type { BuildEventSink, Digest } from '../contracts/index.ts';

/** Exporters do not know which vertex they are; whoever runs them puts it in. */
const UNBOUND: Digest = `sha256:${'0'.repeat(64)}`;
/** Between two reports of one thing, milliseconds. */
const INTERVAL = 100;

export interface ProgressReport {
  /** Bytes so far, and in all (0 = unknown). */
  readonly update: (current: number, total: number) => void;
  readonly done: () => void;
}

/** Reports something that takes its time, from now until `done`. */
export function reportProgress(events: BuildEventSink, id: string, name: string): ProgressReport {
  const started = Date.now();
  let last = started;
  let bytes = { current: 0, total: 0 };
  const send = (completed?: number): void =>
    events({ type: 'status', vertex: UNBOUND, id, name, ...bytes, timestamp: last, started, completed });
  send();
  return {
    update(current, total) {
      bytes = { current, total };
      if (Date.now() - last < INTERVAL) return;
      last = Date.now();
      send();
    },
    done() {
      last = Date.now();
      bytes = { current: bytes.total, total: bytes.total };
      send(last);
    },
  };
}

/** Runs `work` as a status of this name (BuildKit: `exporting layers`, `naming to docker.io/library/x:latest`). */
export async function reported<T>(
  events: BuildEventSink,
  name: string,
  work: (update: ProgressReport['update']) => Promise<T>,
): Promise<T> {
  const progress = reportProgress(events, name, name);
  const result = await work(progress.update);
  progress.done();
  return result;
}
