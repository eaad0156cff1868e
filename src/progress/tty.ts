import type { BuildEvent, Digest } from '../contracts/index.ts';
import { LogLines } from './log-lines.ts';
import { sanitizeLine } from './sanitize.ts';
import { Screen } from './screen.ts';
import type { ProgressStream } from './stream.ts';
import { summary } from './summary.ts';
import { Trace } from './trace.ts';
import { frame, logTail, styles } from './frame.ts';

/** Milliseconds between two pictures. */
const drawInterval = 100;

export interface TtyOptions {
  readonly colors: boolean;
  readonly now: () => number;
}

/** The live picture: what is done, what runs with its last lines of output, redrawn in place and left there at the end. */
export function createTty(
  stream: ProgressStream,
  { colors, now }: TtyOptions,
): { readonly sink: (event: BuildEvent) => void; readonly close: () => void } {
  const trace = new Trace();
  const style = styles(colors);
  const screen = new Screen(stream);
  const logs = new Map<Digest, { lines: LogLines; tail: string[] }>();
  let lastDraw = -Infinity;
  let timer: NodeJS.Timeout | undefined;
  let closed = false;

  const draw = () => {
    clearTimeout(timer);
    timer = undefined;
    lastDraw = now();
    const { columns, rows } = screen.size();
    screen.draw(frame({ trace, tails, now: lastDraw, columns, rows, final: closed, style }));
    // Times go on while nothing happens.
    if (!closed && trace.begin !== undefined) timer = setTimeout(draw, drawInterval).unref();
  };

  const tails = (digest: Digest): readonly string[] => {
    const own = logs.get(digest);
    if (own === undefined) return [];
    const partial = own.lines.partial;
    return [...own.tail, ...(partial === '' ? [] : [partial])].map((line) => sanitizeLine(line, colors));
  };

  const changed = () => {
    if (now() - lastDraw >= drawInterval) draw();
    else timer ??= setTimeout(draw, drawInterval).unref();
  };

  const sink = (event: BuildEvent): void => {
    switch (event.type) {
      case 'engine':
        return;
      case 'vertex':
        if (trace.vertex(event).completed !== undefined) logs.delete(event.digest);
        changed();
        return;
      case 'status':
        trace.status(event);
        changed();
        return;
      case 'log': {
        let own = logs.get(event.vertex);
        if (own === undefined) logs.set(event.vertex, (own = { lines: new LogLines(), tail: [] }));
        const lines = own.lines.push(event.stream, event.data, event.timestamp);
        own.tail = [...own.tail, ...lines.map(({ text }) => text)].filter((line) => line !== '').slice(-logTail);
        changed();
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

  stream.on?.('resize', draw);

  const close = () => {
    if (closed) return;
    closed = true;
    stream.off?.('resize', draw);
    trace.close();
    draw();
    const lines = summary(trace, style);
    if (lines.length > 0) stream.write(`${lines.join('\n')}\n`);
  };

  return { sink, close };
}
