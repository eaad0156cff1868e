import type { BuildEventSink, Digest } from '../contracts/index.ts';

/** Bytes a stream of a step may print; BuildKit's default. */
const defaultMaxSize = 2 * 1024 * 1024;
/** Bytes a second. */
const defaultMaxSpeed = 200 * 1024;

interface StreamState {
  readonly began: number;
  size: number;
  clipping: boolean;
}

/**
 * Clips the output of steps as BuildKit does (util/progress/logs): `BUILDKIT_STEP_LOG_MAX_SIZE` and
 * `BUILDKIT_STEP_LOG_MAX_SPEED` in bytes and bytes a second, -1 for no limit; each stream counts on its own.
 */
export function limitStepLogs(sink: BuildEventSink, env: NodeJS.ProcessEnv = process.env): BuildEventSink {
  const maxSize = limit(env['BUILDKIT_STEP_LOG_MAX_SIZE'], defaultMaxSize);
  const maxSpeed = limit(env['BUILDKIT_STEP_LOG_MAX_SPEED'], defaultMaxSpeed);
  const started = new Map<Digest, number>();
  const streams = new Map<string, StreamState>();

  return (event) => {
    if (event.type === 'vertex' && event.started !== undefined) started.set(event.digest, event.started);
    if (event.type !== 'log') {
      sink(event);
      return;
    }

    const name = `${event.vertex} ${event.stream}`;
    let state = streams.get(name);
    if (state === undefined) {
      state = { began: started.get(event.vertex) ?? event.timestamp, size: 0, clipping: false };
      streams.set(name, state);
    }
    // At least one second's worth, so that a burst at the start passes.
    const elapsed = Math.max(1, Math.ceil((event.timestamp - state.began) / 1000));
    const bySpeed = elapsed * maxSpeed;
    const allowed = Math.min(maxSize, bySpeed);
    const room = Math.max(0, allowed - state.size);
    state.size += event.data.byteLength;
    if (room >= event.data.byteLength) {
      state.clipping = false;
      sink(event);
      return;
    }
    const kept = event.data.subarray(0, room);
    if (state.clipping) {
      if (room > 0) sink({ ...event, data: kept });
      return;
    }
    state.clipping = true;
    const reason = bySpeed < maxSize ? `${binarySize(maxSpeed)}/s` : binarySize(maxSize);
    sink({ ...event, data: Buffer.concat([kept, Buffer.from(`\n[output clipped, log limit ${reason} reached]\n`)]) });
  };
}

function limit(value: string | undefined, fallback: number): number {
  if (value === undefined || !/^-?\d+$/.test(value)) return fallback;
  const parsed = Number(value);
  return parsed === -1 ? Infinity : parsed;
}

function binarySize(bytes: number): string {
  let value = bytes;
  let unit = 0;
  while (value >= 1024 && unit < 3) {
    value /= 1024;
    unit++;
  }
  return `${Number(value.toPrecision(6))}${['B', 'KiB', 'MiB', 'GiB'][unit] ?? ''}`;
}
