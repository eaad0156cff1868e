import type { SourceFile, SourceLocation } from '../contracts/index.ts';
import { capabilities, definitionCapabilities } from './capabilities.ts';
import { encode } from './codec.ts';
import { Definition as DefinitionMessage, Op as OpMessage } from './gen/ops.ts';
import type { PbLocations, PbOpMetadata, PbSource, PbSourceInfo } from './gen/ops.ts';
import { toInput } from './to-wire.ts';
import type { Definition, VertexMetadata } from './types.ts';
import { digestOf } from './vertex.ts';

/** Key of `OpMetadata.description` for the name that progress shows. */
export const NAME_KEY = 'llb.customname';

/**
 * `pb.Definition` bytes: the ops, inputs first, then the terminal op; metadata of each; the source files with the
 * places of each op. Equal definitions give equal bytes. (A BuildKit daemon encodes every op anew, members of a oneof
 * after all other fields, and names vertices by those bytes: the digests in its status are not ours.) An empty (scratch) result gives no bytes, as BuildKit sends
 * no definition then.
 *
 * @param known The capabilities that the receiver lists: it refuses a definition that asks for another, even where it
 *   understands what is meant. Absent = ask for all that the ops need.
 */
export function marshal(definition: Definition, known?: ReadonlySet<string>): Uint8Array {
  if (definition.result === undefined) return new Uint8Array();
  const asked = (ids: readonly string[]): readonly string[] =>
    known === undefined ? ids : ids.filter((id) => known.has(id));
  const terminal = encode(OpMessage, { inputs: [toInput(definition.result)] });
  const metadata: [string, PbOpMetadata][] = definition.vertices.map((vertex) => [
    vertex.digest,
    metadataToWire(vertex.metadata, asked(capabilities(vertex))),
  ]);
  const required = definitionCapabilities(definition.vertices.map((vertex) => vertex.metadata));
  metadata.push([digestOf(terminal), metadataToWire({}, asked(required))]);
  return encode(DefinitionMessage, {
    def: [...definition.vertices.map((vertex) => vertex.bytes), terminal],
    metadata: Object.fromEntries(metadata),
    Source: sourcesToWire(definition),
  });
}

export function metadataToWire(metadata: VertexMetadata, required: readonly string[]): PbOpMetadata {
  return {
    ignore_cache: metadata.ignoreCache,
    description: { ...metadata.description, ...(metadata.name === undefined ? {} : { [NAME_KEY]: metadata.name }) },
    caps: Object.fromEntries(required.map((id) => [id, true])),
    progress_group: metadata.progressGroup,
  };
}

function sourcesToWire(definition: Definition): PbSource | undefined {
  const files: SourceFile[] = [];
  const locations: [string, PbLocations][] = [];
  for (const { digest, metadata } of definition.vertices) {
    const { location } = metadata;
    if (location === undefined) continue;
    let sourceIndex = files.indexOf(location.file);
    if (sourceIndex === -1) sourceIndex = files.push(location.file) - 1;
    locations.push([digest, { locations: [{ sourceIndex, ranges: rangesToWire(location) }] }]);
  }
  if (files.length === 0) return undefined;
  return { locations: Object.fromEntries(locations), infos: files.map(fileToWire) };
}

export function rangesToWire(location: SourceLocation): {
  readonly start: { readonly line: number; readonly character: number };
  readonly end: { readonly line: number; readonly character: number };
}[] {
  return location.ranges.map(({ start, end }) => ({
    start: { line: start.line, character: start.column },
    end: { line: end.line, character: end.column },
  }));
}

function fileToWire(file: SourceFile): PbSourceInfo {
  return { filename: file.filename, data: new TextEncoder().encode(file.text), language: file.language };
}
