import type { BuildEvent, Digest, Time } from '../contracts/index.ts';

export type VertexEvent = BuildEvent & { type: 'vertex' };
export type StatusEvent = BuildEvent & { type: 'status' };
export type WarningEvent = BuildEvent & { type: 'warning' };
export type StageEvent = BuildEvent & { type: 'stage' };
export type ImageEvent = BuildEvent & { type: 'image' };

/** What BuildKit reports for a step that was stopped because another failed or the user wished so. */
export function isCanceled(error: string): boolean {
  return error.endsWith('context canceled');
}

/** The latest that is known of a step. */
export interface Step {
  readonly digest: Digest;
  /** Counts from 1 in the order in which steps start. 0 before. */
  index: number;
  name: string;
  started: Time | undefined;
  completed: Time | undefined;
  cached: boolean;
  error: string | undefined;
  readonly statuses: Map<string, StatusEvent>;
  /** It has ended, but something of it goes on: layers of an image are pulled when a step needs them. */
  reopened: boolean;
}

/** Adds up events to the state that the displays show. */
export class Trace {
  readonly steps = new Map<Digest, Step>();
  /** Those that have started, in that order. */
  readonly started: Step[] = [];
  readonly warnings: WarningEvent[] = [];
  readonly stages: StageEvent[] = [];
  image: ImageEvent | undefined;
  /** When the first step started. */
  begin: Time | undefined;

  /** @returns The step that the event is about. */
  vertex(event: VertexEvent): Step {
    const step = this.#step(event.digest);
    step.name = event.name;
    // Steps are announced again by others that need them too; that does not undo what happened.
    if (event.started === undefined) return step;
    this.begin ??= event.started;
    if (step.index === 0) {
      this.started.push(step);
      step.index = this.started.length;
    }
    step.started = event.started;
    step.completed = event.completed;
    step.cached = event.cached === true;
    step.error = event.error === '' ? undefined : event.error;
    step.reopened = false;
    if (step.completed !== undefined && step.error === undefined && isTransferring(step)) {
      step.completed = undefined;
      step.reopened = true;
    }
    return step;
  }

  status(event: StatusEvent): Step {
    const step = this.#step(event.vertex);
    step.statuses.set(event.id, event);
    if (step.completed !== undefined && event.completed === undefined) {
      step.started = event.started ?? event.timestamp;
      step.cached = false;
      step.completed = undefined;
      step.reopened = true;
    } else if (step.reopened && !isTransferring(step)) {
      step.completed = event.completed;
      step.reopened = false;
    }
    return step;
  }

  /** The build has ended, and with it what went on in steps that had ended before: those are returned. */
  close(): readonly Step[] {
    const closed = this.started.filter(({ reopened }) => reopened);
    for (const step of closed) {
      step.completed = Math.max(...[...step.statuses.values()].map(({ timestamp }) => timestamp));
      step.reopened = false;
    }
    return closed;
  }

  get completed(): number {
    return this.started.reduce((count, { completed }) => (completed === undefined ? count : count + 1), 0);
  }

  #step(digest: Digest): Step {
    let step = this.steps.get(digest);
    if (step === undefined) {
      step = {
        digest,
        index: 0,
        name: '',
        started: undefined,
        completed: undefined,
        cached: false,
        error: undefined,
        statuses: new Map(),
        reopened: false,
      };
      this.steps.set(digest, step);
    }
    return step;
  }
}

function isTransferring({ statuses }: Step): boolean {
  for (const { started, completed } of statuses.values()) {
    if (started !== undefined && completed === undefined) return true;
  }
  return false;
}

/** `3.40MB / 3.40MB`, `120B`, or nothing. */
export function transferred({ current, total }: StatusEvent, size: (bytes: number) => string): string {
  if (total !== 0) return `${size(current)} / ${size(total)}`;
  return current === 0 ? '' : size(current);
}
