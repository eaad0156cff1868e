import type { BuildEvent, BuildEventSink, Digest, SourceRange, Time } from '../contracts/index.ts';

/** One step of a build, as it is kept. Times are milliseconds since the epoch. */
export interface RecordedVertex {
  readonly digest: Digest;
  readonly name: string;
  readonly inputs: readonly Digest[];
  readonly started?: Time | undefined;
  readonly completed?: Time | undefined;
  readonly cached?: true | undefined;
  readonly error?: string | undefined;
  /** In the Dockerfile. */
  readonly ranges?: readonly SourceRange[] | undefined;
  /** Bytes of output. */
  readonly output?: number | undefined;
  /** Bytes that its transfers moved: downloads, uploads. */
  readonly transferred?: number | undefined;
}

/** What a build did, as a JSON value. */
export interface BuildRecord {
  readonly version: 1;
  readonly engine?: { readonly engine: 'embedded' | 'buildkit'; readonly detail: string } | undefined;
  readonly started?: Time | undefined;
  readonly completed?: Time | undefined;
  readonly vertices: readonly RecordedVertex[];
  readonly warnings: readonly {
    readonly rule?: string | undefined;
    readonly message: string;
    readonly vertex?: Digest | undefined;
    readonly file?: string | undefined;
    readonly line?: number | undefined;
  }[];
  readonly stages: readonly Omit<BuildEvent & { type: 'stage' }, 'type'>[];
  readonly image?: Omit<BuildEvent & { type: 'image' }, 'type'> | undefined;
}

/** Keeps a build record while a build runs; output of steps is counted, not kept. */
export interface BuildLog {
  readonly sink: BuildEventSink;
  /** What is known up to now. */
  readonly record: () => BuildRecord;
}

export function createBuildLog(): BuildLog {
  const vertices = new Map<Digest, BuildEvent & { type: 'vertex' }>();
  const output = new Map<Digest, number>();
  /** When the last transfer of a step ended: layers are pulled after their image was found. */
  const ends = new Map<Digest, Time>();
  const transfers = new Map<Digest, Map<string, number>>();
  const warnings: BuildRecord['warnings'][number][] = [];
  const stages: BuildRecord['stages'][number][] = [];
  let engine: BuildRecord['engine'];
  let image: BuildRecord['image'];

  const sink: BuildEventSink = (event) => {
    switch (event.type) {
      case 'engine':
        engine = { engine: event.engine, detail: event.detail };
        return;
      case 'vertex': {
        const known = vertices.get(event.digest);
        if (known === undefined || event.started !== undefined) vertices.set(event.digest, event);
        return;
      }
      case 'status': {
        let own = transfers.get(event.vertex);
        if (own === undefined) transfers.set(event.vertex, (own = new Map<string, number>()));
        own.set(event.id, event.current);
        if (event.completed !== undefined) ends.set(event.vertex, event.completed);
        return;
      }
      case 'log':
        output.set(event.vertex, (output.get(event.vertex) ?? 0) + event.data.byteLength);
        return;
      case 'warning': {
        const { rule, message, vertex, location } = event;
        warnings.push({
          rule,
          message,
          vertex,
          file: location?.file.filename,
          line: location?.ranges[0]?.start.line,
        });
        return;
      }
      case 'stage': {
        const { name, builtBytes, shippedBytes, estimated, final } = event;
        stages.push({ name, builtBytes, shippedBytes, estimated, final });
        return;
      }
      case 'image': {
        const { digest, names, size, layers } = event;
        image = { digest, names, size, layers };
        return;
      }
    }
  };

  const record = (): BuildRecord => {
    let started: Time | undefined;
    let completed: Time | undefined;
    const recorded = [...vertices.values()].map((event): RecordedVertex => {
      const end = event.completed && Math.max(event.completed, ends.get(event.digest) ?? 0);
      if (event.started !== undefined) started = Math.min(started ?? event.started, event.started);
      if (end !== undefined) completed = Math.max(completed ?? end, end);
      const moved = [...(transfers.get(event.digest)?.values() ?? [])].reduce((sum, bytes) => sum + bytes, 0);
      return {
        digest: event.digest,
        name: event.name,
        inputs: event.inputs,
        started: event.started,
        completed: end,
        cached: event.cached === true ? true : undefined,
        error: event.error === '' ? undefined : event.error,
        ranges: event.location?.ranges,
        output: output.get(event.digest),
        transferred: moved === 0 ? undefined : moved,
      };
    });
    return { version: 1, engine, started, completed, vertices: recorded, warnings, stages, image };
  };

  return { sink, record };
}
