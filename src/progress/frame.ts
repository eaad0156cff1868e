import pc from 'picocolors';
import type { Digest, Time } from '../contracts/index.ts';
import { seconds, transferSize } from './format.ts';
import { sanitizeName } from './sanitize.ts';
import type { SummaryStyle } from './summary.ts';
import { isCanceled, transferred, type StatusEvent, type Step, type Trace } from './trace.ts';
import { clip, textWidth } from './width.ts';

/** Lines of output shown below a running step, as many as BuildKit shows. */
export const logTail = 6;
/** Columns of a download's bar. */
const barWidth = 20;
/** Shorter times are shown as 0.0s. */
const noticeable = 50;

export interface FrameStyle extends SummaryStyle {
  readonly done: (text: string) => string;
  readonly failed: (text: string) => string;
  readonly canceled: (text: string) => string;
  readonly faint: (text: string) => string;
}

/** BuildKit's colours: blue for what is done, red for errors, yellow for what was stopped. */
export function styles(colors: boolean): FrameStyle {
  const { blue, red, yellow, dim, bold } = pc.createColors(colors);
  return { done: blue, failed: red, canceled: yellow, warning: yellow, faint: dim, strong: bold };
}

export interface FrameInput {
  readonly trace: Trace;
  /** Last lines of a step's output, harmless already. */
  readonly tails: (digest: Digest) => readonly string[];
  readonly now: Time;
  readonly columns: number;
  readonly rows: number;
  /** The last picture, which may be higher than the terminal. */
  readonly final: boolean;
  readonly style: FrameStyle;
}

interface Row {
  readonly left: string;
  readonly right: string;
  readonly running: boolean;
  readonly color: (text: string) => string;
  readonly digest?: Digest | undefined;
}

/** The picture of a build at a moment, as lines that fit the terminal. */
export function frame({ trace, tails, now, columns, rows, final, style }: FrameInput): readonly string[] {
  if (trace.begin === undefined) return [];
  const all = trace.started.flatMap((step) => stepRows(step, now, final, columns, style));
  // A row stays free for the title and one for the cursor.
  const shown = final ? all : fit(all, rows - 2);
  const withTails = final ? new Set<Digest>() : roomForTails(shown, tails, rows - 2 - shown.length);

  const total = trace.steps.size;
  const finished = final && trace.completed === total ? ' FINISHED' : '';
  const title = `[+] Building ${seconds(now - trace.begin)} (${trace.completed}/${total})${finished}`;
  const lines = [clip(title, columns - 1)];
  for (const row of shown) {
    lines.push(row.color(align(row.left, row.right, columns - 1)));
    if (row.digest === undefined || !withTails.has(row.digest)) continue;
    for (const line of tails(row.digest).slice(-logTail)) {
      lines.push(style.faint(clip(` => => # ${line.replaceAll('\t', '    ')}`, columns - 1)));
    }
  }
  return lines;
}

function stepRows(step: Step, now: Time, final: boolean, columns: number, style: FrameStyle): readonly Row[] {
  const { started = now, completed, cached, error } = step;
  const running = completed === undefined;
  const canceled = error !== undefined && isCanceled(error);
  const word = canceled ? 'CANCELED ' : error !== undefined ? 'ERROR ' : cached ? 'CACHED ' : '';
  const color = running ? same : canceled ? style.canceled : error !== undefined ? style.failed : style.done;
  const rows: Row[] = [
    {
      left: ` => ${word}${sanitizeName(step.name)}`,
      right: duration(started, completed ?? now),
      running,
      color,
      digest: running ? step.digest : undefined,
    },
  ];
  for (const status of step.statuses.values()) {
    if (status.started === undefined) continue;
    const moving = status.completed === undefined;
    const bytes = transferred(status, transferSize);
    rows.push({
      left: ` => => ${sanitizeName(status.id)}`,
      right: [
        moving && !final && columns >= 80 ? bar(status) : '',
        bytes,
        duration(status.started, status.completed ?? completed ?? now),
      ]
        .filter((part) => part !== '')
        .join(' '),
      running: running && moving,
      color: moving && running ? same : color === same ? style.done : color,
    });
  }
  return rows;
}

function bar({ current, total }: StatusEvent): string {
  if (total <= 0) return '';
  const full = Math.round(Math.min(1, Math.max(0, current / total)) * barWidth);
  return `[${'='.repeat(full)}${' '.repeat(barWidth - full)}]`;
}

/** The last rows, but all that run as long as there is room for them: what is done goes first. */
function fit(rows: readonly Row[], limit: number): readonly Row[] {
  let surplus = rows.length - Math.max(1, limit);
  if (surplus <= 0) return rows;
  const kept = rows.filter(({ running }) => {
    if (running || surplus <= 0) return true;
    surplus--;
    return false;
  });
  return surplus > 0 ? kept.slice(surplus) : kept;
}

/** Running steps whose last lines fit, the latest first, as it is the one that is being watched. */
function roomForTails(
  rows: readonly Row[],
  tails: (digest: Digest) => readonly string[],
  free: number,
): ReadonlySet<Digest> {
  const chosen = new Set<Digest>();
  let left = free;
  for (const { digest } of rows.toReversed()) {
    if (digest === undefined) continue;
    const height = Math.min(logTail, tails(digest).length);
    if (height === 0 || height > left) continue;
    left -= height;
    chosen.add(digest);
  }
  return chosen;
}

function align(left: string, right: string, columns: number): string {
  const room = columns - textWidth(right) - 1;
  if (room < 12) return clip(left, columns);
  const clipped = clip(left, room);
  return `${clipped}${' '.repeat(Math.max(1, columns - textWidth(clipped) - textWidth(right)))}${right}`;
}

function duration(from: Time, to: Time): string {
  const took = to - from;
  return seconds(took < noticeable ? 0 : took);
}

function same(text: string): string {
  return text;
}
