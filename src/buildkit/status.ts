/** A daemon's status as our events. */
import { isDigest } from '../contracts/index.ts';
import type { BuildEvent, BuildEventSink, Digest } from '../contracts/index.ts';
import { daemonDigests } from '../llb/index.ts';
import type { Rewritten, Vertex } from '../llb/index.ts';
import type { PbStatusResponse, PbTimestamp } from './gen/control.ts';

/** Turns status into events; learns of graphs as they are made. */
export interface StatusReader {
  /** Vertices of this graph are shown as ours: digest, place in the file. */
  learn(rewritten: Rewritten, originals: ReadonlyMap<Digest, Vertex>): void;
  read(status: PbStatusResponse): void;
  /**
   * The step that failed with this message.
   *
   * @param digest What the daemon calls its vertex; old ones do not say.
   */
  failedStep(message: string, digest: string | undefined): FailedStep | undefined;
}

export interface FailedStep {
  readonly vertex: Vertex;
  /** The last lines of its output. */
  readonly output: readonly string[];
}

/** Of the output of each step that runs, the end is kept for the error that it may end in. Bytes; lines. */
const OUTPUT_KEPT = 16 << 10;
const LINES_SHOWN = 20;

export function createStatusReader(events: BuildEventSink): StatusReader {
  /** What the daemon calls a vertex to the vertex of our graph. */
  const known = new Map<string, Vertex>();
  const failures: { readonly error: string; readonly digest: string }[] = [];
  const outputs = new Map<string, Buffer>();
  const ours = (digest: string): Digest =>
    known.get(digest)?.digest ?? (isDigest(digest) ? digest : `sha256:${digest}`);

  return {
    learn({ definition, originals: back }, originals) {
      const add = (digest: Digest, adapted: Digest): void => {
        const vertex = originals.get(back.get(adapted) ?? adapted);
        if (vertex !== undefined) known.set(digest, vertex);
      };
      for (const [daemon, adapted] of daemonDigests(definition)) add(daemon, adapted);
      for (const { digest } of definition.vertices) add(digest, digest);
    },
    failedStep(message, digest) {
      const id = digest ?? failures.find(({ error }) => message.includes(error))?.digest ?? '';
      const vertex = known.get(id);
      if (vertex === undefined) return undefined;
      const lines = (outputs.get(id) ?? Buffer.alloc(0)).toString('utf8').split('\n');
      if (lines.at(-1) === '') lines.pop();
      return { vertex, output: lines.slice(-LINES_SHOWN) };
    },
    read({ vertexes = [], statuses = [], logs = [], warnings = [] }) {
      for (const vertex of vertexes) {
        const digest = vertex.digest ?? '';
        const location = known.get(digest)?.metadata.location;
        if (vertex.error && known.has(digest)) failures.push({ error: vertex.error, digest });
        if (vertex.completed !== undefined && !vertex.error) outputs.delete(digest);
        events({
          type: 'vertex',
          digest: ours(digest),
          inputs: (vertex.inputs ?? []).map(ours),
          name: vertex.name ?? '',
          started: time(vertex.started),
          completed: time(vertex.completed),
          cached: vertex.cached === true,
          error: vertex.error === '' ? undefined : vertex.error,
          location,
        });
      }
      for (const status of statuses) {
        events({
          type: 'status',
          vertex: ours(status.vertex ?? ''),
          id: status.ID ?? '',
          name: status.name || (status.ID ?? ''),
          current: Number(status.current ?? 0n),
          total: Number(status.total ?? 0n),
          timestamp: time(status.timestamp) ?? Date.now(),
          started: time(status.started),
          completed: time(status.completed),
        });
      }
      for (const log of logs) {
        const id = log.vertex ?? '';
        const kept = Buffer.concat([outputs.get(id) ?? Buffer.alloc(0), log.msg ?? new Uint8Array()]);
        outputs.set(id, kept.subarray(-OUTPUT_KEPT));
        events({
          type: 'log',
          vertex: ours(log.vertex ?? ''),
          stream: log.stream === 2n ? 2 : 1,
          data: log.msg ?? new Uint8Array(),
          timestamp: time(log.timestamp) ?? Date.now(),
        });
      }
      for (const warning of warnings) events(warningOf(warning, ours, known));
    },
  };
}

function warningOf(
  warning: NonNullable<PbStatusResponse['warnings']>[number],
  ours: (digest: string) => Digest,
  known: ReadonlyMap<string, Vertex>,
): BuildEvent {
  const detail = (warning.detail ?? []).map(textOf).join('\n');
  return {
    type: 'warning',
    vertex: ours(warning.vertex ?? ''),
    message: textOf(warning.short ?? new Uint8Array()),
    hint: detail === '' ? undefined : detail,
    url: warning.url === '' ? undefined : warning.url,
    location: known.get(warning.vertex ?? '')?.metadata.location,
  };
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('utf8');
}

/** Milliseconds. */
function time(stamp: PbTimestamp | undefined): number | undefined {
  if (stamp === undefined) return undefined;
  return Number(stamp.seconds ?? 0n) * 1000 + (stamp.nanos ?? 0) / 1e6;
}
