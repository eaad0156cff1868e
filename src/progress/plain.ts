import type { BuildEvent, Digest, Time } from '../contracts/index.ts';
import { logTime, seconds, transferSize } from './format.ts';
import { LogLines } from './log-lines.ts';
import { sanitizeLine, sanitizeName } from './sanitize.ts';
import type { ProgressStream } from './stream.ts';
import { plainStyle, summary } from './summary.ts';
import { isCanceled, Trace, transferred, type StatusEvent, type Step } from './trace.ts';

/** Milliseconds between two writes; events in between are written together. */
const writeInterval = 100;
/** A step keeps the floor for so many milliseconds while others have something to say, so that blocks can be read. */
const blockTime = 5_000;
/** A status is written again after so many milliseconds or so much of its total. */
const statusInterval = 5_000;
const statusShare = 0.05;

interface PlainStep {
  readonly step: Step;
  readonly logs: LogLines;
  /** Lines of output that are not written yet. */
  lines: string[];
  readonly changed: Set<string>;
  readonly written: Map<string, StatusEvent>;
  /** How it ended, not written yet. */
  ended: boolean;
  /** Since when it has something to say. */
  waiting: Time | undefined;
}

export interface PlainOptions {
  readonly colors: boolean;
  readonly now: () => number;
}

/** Lines as `docker build --progress plain` writes them: blocks, each of one step, of numbered lines. */
export function createPlain(
  stream: ProgressStream,
  { colors, now }: PlainOptions,
): { readonly sink: (event: BuildEvent) => void; readonly close: () => void } {
  const trace = new Trace();
  const steps = new Map<Digest, PlainStep>();
  /** Those with something to say. */
  const pending = new Set<PlainStep>();
  let output: string[] = [];
  let current: PlainStep | undefined;
  let blockBegan = 0;
  let first = true;
  let lastWrite = -Infinity;
  let timer: NodeJS.Timeout | undefined;

  const plainStep = (step: Step): PlainStep => {
    let own = steps.get(step.digest);
    if (own === undefined) {
      own = {
        step,
        logs: new LogLines(),
        lines: [],
        changed: new Set(),
        written: new Map(),
        ended: false,
        waiting: undefined,
      };
      steps.set(step.digest, own);
    }
    return own;
  };

  const touch = (own: PlainStep) => {
    // What is said of a step before it starts is written when it does.
    if (own.step.index === 0) return;
    own.waiting ??= now();
    pending.add(own);
    if (now() - lastWrite >= writeInterval) flush();
    else timer ??= setTimeout(flush, writeInterval).unref();
  };

  const flush = () => {
    clearTimeout(timer);
    timer = undefined;
    lastWrite = now();
    writePending();
    if (output.length > 0) stream.write(`${output.join('\n')}\n`);
    output = [];
    if (pending.size > 0) timer = setTimeout(flush, writeInterval).unref();
  };

  /** Ended steps first, the current one before all others; then one running step keeps or gets the floor. */
  const writePending = () => {
    if (current !== undefined && pending.has(current)) write(current);
    const rest = [...pending];
    const ended = rest.filter(({ step }) => step.started === undefined || step.completed !== undefined);
    ended.sort((a, b) => (a.step.completed ?? 0) - (b.step.completed ?? 0));
    const floorTaken = current !== undefined && now() - blockBegan < blockTime;
    for (const own of ended) write(own);
    // A step that only waits for a short one to say its piece goes on afterwards.
    if (floorTaken && current !== undefined) return;
    const [next] = rest.filter((own) => pending.has(own)).sort((a, b) => (a.waiting ?? 0) - (b.waiting ?? 0));
    if (next !== undefined) write(next);
  };

  const write = (own: PlainStep) => {
    const { step } = own;
    const mark = `#${step.index}`;
    if (own !== current) {
      if (current !== undefined) output.push(`#${current.step.index} ...`);
      if (!first) output.push('');
      first = false;
      output.push(`${mark} ${sanitizeName(step.name)}`);
      current = own;
      blockBegan = now();
    }
    for (const line of changedStatuses(own)) output.push(`${mark} ${line}`);
    for (const line of own.lines) output.push(`${mark} ${line}`);
    own.lines = [];
    own.waiting = undefined;
    pending.delete(own);
    if (own.ended) output.push(`${mark} ${ending(step)}`);
    own.ended = false;
    if (step.completed !== undefined) current = undefined;
  };

  const logLine = (step: Step, text: string, timestamp: Time) =>
    `${logTime(timestamp - (step.started ?? timestamp))} ${sanitizeLine(text, colors)}`;

  const sink = (event: BuildEvent): void => {
    switch (event.type) {
      case 'engine':
        output.push(`#0 building with the ${event.engine} engine: ${sanitizeName(event.detail)}`);
        first = false;
        return;
      case 'vertex': {
        const known = trace.steps.get(event.digest);
        const before = known === undefined ? undefined : { ...known };
        const step = trace.vertex(event);
        if (step.started === undefined || !differs(before, step)) return;
        const own = plainStep(step);
        if (event.completed !== undefined) {
          for (const { text, timestamp } of own.logs.end()) own.lines.push(logLine(step, text, timestamp));
          own.ended = step.completed !== undefined;
        }
        touch(own);
        return;
      }
      case 'status': {
        const ended = trace.steps.get(event.vertex)?.completed;
        const own = plainStep(trace.status(event));
        own.changed.add(event.id);
        if ((ended === undefined) !== (own.step.completed === undefined)) own.ended = ended === undefined;
        touch(own);
        return;
      }
      case 'log': {
        const step = trace.steps.get(event.vertex);
        if (step === undefined) return;
        const own = plainStep(step);
        for (const { text, timestamp } of own.logs.push(event.stream, event.data, event.timestamp)) {
          own.lines.push(logLine(step, text, timestamp));
        }
        if (own.lines.length > 0) touch(own);
        return;
      }
      case 'warning':
        trace.warnings.push(event);
        return;
      case 'stage':
        trace.stages.push(event);
        return;
      case 'image':
        trace.image = event;
        return;
    }
  };

  const close = () => {
    for (const step of trace.close()) {
      const own = plainStep(step);
      own.ended = true;
      pending.add(own);
    }
    for (const own of steps.values()) {
      const lines = own.logs.end();
      if (lines.length === 0 || own.step.index === 0) continue;
      for (const { text, timestamp } of lines) own.lines.push(logLine(own.step, text, timestamp));
      pending.add(own);
    }
    writePending();
    for (const own of [...pending]) write(own);
    pending.clear();
    output.push(...summary(trace, plainStyle));
    flush();
  };

  return { sink, close };
}

function differs(before: Step | undefined, after: Step): boolean {
  if (before === undefined) return true;
  return (
    before.started !== after.started ||
    before.completed !== after.completed ||
    before.cached !== after.cached ||
    before.error !== after.error
  );
}

function ending({ started, completed, cached, error }: Step): string {
  if (error !== undefined) return isCanceled(error) ? 'CANCELED' : `ERROR: ${sanitizeName(error)}`;
  if (cached) return 'CACHED';
  return `DONE ${seconds((completed ?? 0) - (started ?? 0))}`;
}

/** Those statuses that have moved enough since they were written last. */
function changedStatuses({ step, changed, written }: PlainStep): readonly string[] {
  const lines: string[] = [];
  for (const id of changed) {
    const status = step.statuses.get(id);
    if (status === undefined || !worthWriting(status, written.get(id))) continue;
    written.set(id, status);
    const { started, completed, timestamp } = status;
    const took = started === undefined ? 0 : (completed ?? timestamp) - started;
    lines.push(
      [
        sanitizeName(id),
        transferred(status, transferSize),
        took > 10 ? seconds(took) : '',
        completed === undefined ? '' : 'done',
      ]
        .filter((part) => part !== '')
        .join(' '),
    );
  }
  changed.clear();
  return lines;
}

function worthWriting(status: StatusEvent, last: StatusEvent | undefined): boolean {
  if (last === undefined || status.completed !== undefined) return true;
  const share = status.total > 0 ? (status.current - last.current) / status.total : 0;
  return share >= statusShare || status.timestamp - last.timestamp >= statusInterval;
}
