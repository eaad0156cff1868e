import { isDigest } from '../contracts/index.ts';
import type { SourceFile, SourceLocation } from '../contracts/index.ts';
import { decode } from './codec.ts';
import { fromPlatform, fromWire, invalid } from './from-wire.ts';
import { Definition as DefinitionMessage, Op as OpMessage } from './gen/ops.ts';
import type { PbInput, PbOp, PbOpMetadata, PbRange, PbSource } from './gen/ops.ts';
import { NAME_KEY } from './marshal.ts';
import type { Definition, FileAction, Op, Vertex, VertexInput, VertexMetadata } from './types.ts';
import { digestOf } from './vertex.ts';

/** BuildKit's own limit for a gRPC message; the Dockerfile and every heredoc are inside. */
const BYTES_MAX = 64 * 1024 * 1024;
const OPS_MAX = 100_000;

/**
 * Reads `pb.Definition` bytes. Vertices keep the bytes that came, so that their digests are the sender's. No bytes are
 * the empty (scratch) result.
 *
 * @throws BuildError `usage` when they are no whole definition, `unsupported` for ops that this version does not know.
 */
export function unmarshal(bytes: Uint8Array): Definition {
  if (bytes.length === 0) return { result: undefined, vertices: [] };
  if (bytes.length > BYTES_MAX) throw invalid(`it has more than ${BYTES_MAX} bytes`);
  const wire = decode(DefinitionMessage, bytes);
  const ops = wire.def ?? [];
  if (ops.length > OPS_MAX) throw invalid(`it has more than ${OPS_MAX} ops`);
  if (ops.length < 2) throw invalid('it has no op');
  const places = locationsFromWire(wire.Source);
  const known = new Map<string, Vertex>();
  let result: VertexInput | undefined;
  for (const [i, data] of ops.entries()) {
    const op = decode(OpMessage, data);
    const inputs = (op.inputs ?? []).map((input) => resolveInput(input, known));
    if (i === ops.length - 1) {
      result = terminalInput(op, inputs);
      break;
    }
    const digest = digestOf(data);
    const parsed = fromWire(op);
    checkIndices(parsed, inputs.length);
    const platform = fromPlatform(op.platform);
    known.set(digest, {
      digest,
      op: parsed,
      inputs,
      ...(platform === undefined ? {} : { platform }),
      bytes: data,
      metadata: metadataFromWire(wire.metadata?.[digest], places.get(digest)),
    });
  }
  return { result, vertices: [...known.values()] };
}

function terminalInput(op: PbOp, inputs: readonly VertexInput[]): VertexInput {
  const hasKind = op.exec ?? op.source ?? op.file ?? op.build ?? op.merge ?? op.diff ?? op.passthrough;
  const [input, ...more] = inputs;
  if (hasKind !== undefined || input === undefined || more.length > 0) {
    throw invalid('its last op does not name one result');
  }
  return input;
}

function resolveInput({ digest = '', index = 0n }: PbInput, known: ReadonlyMap<string, Vertex>): VertexInput {
  const vertex = known.get(digest);
  if (vertex === undefined)
    throw invalid(`${isDigest(digest) ? digest : 'an input'} is not before the op that needs it`);
  if (index < 0n || index > 0x7fff_ffffn) throw invalid(`${String(index)} is not an output`);
  return { vertex, index: Number(index) };
}

/** Every index in an op must mean an input it has; results of file actions must come from earlier ones. */
function checkIndices(op: Op, inputs: number): void {
  const check = (index: number, count = inputs): void => {
    if (index >= count) throw invalid(`an op has no input ${index}`);
  };
  switch (op.kind) {
    case 'source':
      return;
    case 'exec':
      for (const mount of op.mounts) check(mount.input);
      return;
    case 'merge':
      for (const input of op.inputs) check(input);
      return;
    case 'diff':
      check(op.lower);
      check(op.upper);
      return;
    case 'build':
      check(op.builder);
      for (const input of Object.values(op.inputs)) check(input);
      return;
    case 'file':
      for (const [i, action] of op.actions.entries()) {
        check(action.input, inputs + i);
        check(action.secondaryInput, inputs + i);
        for (const input of ownerInputs(action)) check(input);
      }
  }
}

function ownerInputs({ action }: FileAction): readonly number[] {
  const owner = 'owner' in action ? action.owner : undefined;
  return [owner?.user, owner?.group].flatMap((user) => user?.input ?? []);
}

function metadataFromWire(wire: PbOpMetadata | undefined, location: SourceLocation | undefined): VertexMetadata {
  const { [NAME_KEY]: name, ...description } = wire?.description ?? {};
  const group = wire?.progress_group;
  return {
    ...(name === undefined ? {} : { name }),
    ...(Object.keys(description).length === 0 ? {} : { description }),
    ...(wire?.ignore_cache === true ? { ignoreCache: true } : {}),
    ...(location === undefined ? {} : { location }),
    ...(group === undefined
      ? {}
      : { progressGroup: { id: group.id ?? '', name: group.name ?? '', weak: group.weak ?? false } }),
  };
}

function locationsFromWire(source: PbSource | undefined): ReadonlyMap<string, SourceLocation> {
  const decoder = new TextDecoder();
  const files = (source?.infos ?? []).map((info): SourceFile => ({
    filename: info.filename ?? '',
    text: decoder.decode(info.data),
    language: info.language === 'ignore' ? 'ignore' : 'Dockerfile',
  }));
  const found = new Map<string, SourceLocation>();
  for (const [digest, { locations = [] }] of Object.entries(source?.locations ?? {})) {
    const sourceIndex = locations[0]?.sourceIndex ?? 0;
    const file = files[sourceIndex];
    if (file === undefined) continue;
    const ranges = locations
      .filter((location) => (location.sourceIndex ?? 0) === sourceIndex)
      .flatMap((location) => location.ranges ?? []);
    found.set(digest, { file, ranges: ranges.map(rangeFromWire) });
  }
  return found;
}

function rangeFromWire({ start, end }: PbRange): SourceLocation['ranges'][number] {
  return {
    start: { line: start?.line ?? 0, column: start?.character ?? 0 },
    end: { line: end?.line ?? 0, column: end?.character ?? 0 },
  };
}
