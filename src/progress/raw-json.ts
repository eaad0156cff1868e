import type { BuildEvent, BuildEventSink, SourceLocation, Time } from '../contracts/index.ts';
import { rfc3339 } from './format.ts';
import type { ProgressStream } from './stream.ts';

/**
 * One line an event, each a `client.SolveStatus` of BuildKit as JSON (client/graph.go): bytes in base64, times in RFC 3339
 * with nanoseconds. Events that BuildKit has no word for are left out.
 */
export function createRawJson(stream: ProgressStream): BuildEventSink {
  return (event) => {
    const status = solveStatus(event);
    if (status !== undefined) stream.write(`${JSON.stringify(status)}\n`);
  };
}

function solveStatus(event: BuildEvent): object | undefined {
  switch (event.type) {
    case 'vertex': {
      const { digest, inputs, name, started, completed, cached, error } = event;
      return {
        vertexes: [
          {
            digest,
            inputs: inputs.length === 0 ? undefined : inputs,
            name,
            started: time(started),
            completed: time(completed),
            cached: cached === true ? true : undefined,
            error: error === '' ? undefined : error,
          },
        ],
      };
    }
    case 'status': {
      const { vertex, id, name, total, current, timestamp, started, completed } = event;
      return {
        statuses: [
          {
            id,
            vertex,
            name: name === '' ? undefined : name,
            total: total === 0 ? undefined : total,
            current,
            timestamp: rfc3339(timestamp),
            started: time(started),
            completed: time(completed),
          },
        ],
      };
    }
    case 'log': {
      const { vertex, stream, data, timestamp } = event;
      return { logs: [{ vertex, stream, data: base64(data), timestamp: rfc3339(timestamp) }] };
    }
    case 'warning': {
      const { vertex, hint, url, location } = event;
      return {
        warnings: [
          {
            vertex,
            level: 1,
            short: base64(warningText(event)),
            detail: hint === undefined ? undefined : [base64(hint)],
            url,
            ...(location === undefined ? {} : source(location)),
          },
        ],
      };
    }
    case 'engine':
    case 'stage':
    case 'image':
      return undefined;
  }
}

/** As BuildKit writes lint warnings: `Rule: message (line 3)`. */
export function warningText({ rule, message, location }: BuildEvent & { type: 'warning' }): string {
  const line = location?.ranges[0]?.start.line;
  return `${rule === undefined ? '' : `${rule}: `}${message}${line === undefined ? '' : ` (line ${line})`}`;
}

function source({ file, ranges }: SourceLocation): object {
  const position = ({ line, column }: { line: number; column: number }) => ({
    line,
    character: column === 0 ? undefined : column,
  });
  return {
    sourceInfo: { filename: file.filename, data: base64(file.text), language: file.language },
    range: ranges.map(({ start, end }) => ({ start: position(start), end: position(end) })),
  };
}

function time(value: Time | undefined): string | undefined {
  return value === undefined ? undefined : rfc3339(value);
}

function base64(data: string | Uint8Array): string {
  return (typeof data === 'string' ? Buffer.from(data) : Buffer.from(data)).toString('base64');
}
