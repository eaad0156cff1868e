import type { BuildEvent, Digest } from '../../contracts/index.ts';

/** Events of a build for tests, at fixed times: milliseconds after {@link t0}. */
export const t0 = Date.UTC(2024, 0, 1);

export function digest(name: string): Digest {
  return `sha256:${Buffer.from(name).toString('hex').padEnd(64, '0').slice(0, 64)}`;
}

export interface VertexState {
  readonly started?: number;
  readonly completed?: number;
  readonly cached?: boolean;
  readonly error?: string;
  readonly inputs?: readonly string[];
}

export function vertex(name: string, { started, completed, inputs = [], ...rest }: VertexState = {}): BuildEvent {
  return {
    type: 'vertex',
    digest: digest(name),
    name,
    inputs: inputs.map(digest),
    started: started === undefined ? undefined : t0 + started,
    completed: completed === undefined ? undefined : t0 + completed,
    ...rest,
  };
}

export function cached(name: string, at: number): BuildEvent {
  return vertex(name, { started: at, completed: at, cached: true });
}

export function log(name: string, text: string | Uint8Array, at: number, stream: 1 | 2 = 1): BuildEvent {
  return {
    type: 'log',
    vertex: digest(name),
    stream,
    data: typeof text === 'string' ? Buffer.from(text) : text,
    timestamp: t0 + at,
  };
}

export function status(
  name: string,
  id: string,
  current: number,
  total: number,
  times: { readonly at: number; readonly started?: number; readonly completed?: number },
): BuildEvent {
  return {
    type: 'status',
    vertex: digest(name),
    id,
    name: '',
    current,
    total,
    timestamp: t0 + times.at,
    started: t0 + (times.started ?? times.at),
    completed: times.completed === undefined ? undefined : t0 + times.completed,
  };
}
