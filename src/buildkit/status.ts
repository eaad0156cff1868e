/** A daemon's status as our events. */
import { isDigest } from '../contracts/index.ts';
import type { BuildEvent, BuildEventSink, Digest, SourceLocation } from '../contracts/index.ts';
import { daemonDigests } from '../llb/index.ts';
import type { Rewritten, Vertex } from '../llb/index.ts';
import type { PbStatusResponse, PbTimestamp } from './gen/control.ts';

/** Turns status into events; learns of graphs as they are made. */
export interface StatusReader {
  /** Vertices of this graph are shown as ours: digest, place in the file. */
  learn(rewritten: Rewritten, originals: ReadonlyMap<Digest, Vertex>): void;
  read(status: PbStatusResponse): void;
  /** Where the vertex stands that the daemon calls so. */
  locate(digest: string): SourceLocation | undefined;
}

export function createStatusReader(events: BuildEventSink): StatusReader {
  /** What the daemon calls a vertex to the vertex of our graph. */
  const known = new Map<string, Vertex>();
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
    locate: (digest) => known.get(digest)?.metadata.location,
    read({ vertexes = [], statuses = [], logs = [], warnings = [] }) {
      for (const vertex of vertexes) {
        const digest = vertex.digest ?? '';
        events({
          type: 'vertex',
          digest: ours(digest),
          inputs: (vertex.inputs ?? []).map(ours),
          name: vertex.name ?? '',
          started: time(vertex.started),
          completed: time(vertex.completed),
          cached: vertex.cached === true,
          error: vertex.error === '' ? undefined : vertex.error,
          location: known.get(digest)?.metadata.location,
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
