/** A definition for people and programs: JSON lines as `buildctl debug dump-llb` writes them, DOT, Mermaid. */
import { capabilities, definitionCapabilities } from './capabilities.ts';
import { compareUtf8, encode, isZero } from './codec.ts';
import type { Field, MessageType } from './codec.ts';
import { Op as OpMessage, OpMetadata } from './gen/ops.ts';
import { metadataToWire, rangesToWire } from './marshal.ts';
import { toInput, toWire } from './to-wire.ts';
import type { Definition, Op, Vertex } from './types.ts';
import { digestOf } from './vertex.ts';

/**
 * One JSON object an op, inputs first and the terminal op last, one a line:
 * `{"digest":"sha256:...","op":{...},"opMetadata":{...},"source":{...}}`. Fields are called as in ops.proto, bytes are
 * base64, fields with zero values are left out.
 */
export function printJson(definition: Definition): string {
  const lines = definition.vertices.map((vertex) =>
    JSON.stringify({
      digest: vertex.digest,
      op: toJson(OpMessage, toWire(vertex.op, vertex.inputs, vertex.platform)),
      opMetadata: toJson(OpMetadata, metadataToWire(vertex.metadata, capabilities(vertex))),
      ...(vertex.metadata.location === undefined
        ? {}
        : {
            source: {
              filename: vertex.metadata.location.file.filename,
              ranges: rangesToWire(vertex.metadata.location),
            },
          }),
    }),
  );
  if (definition.result !== undefined) {
    const op = { inputs: [toInput(definition.result)] };
    const required = definitionCapabilities(definition.vertices.map((vertex) => vertex.metadata));
    const opMetadata = toJson(OpMetadata, metadataToWire({}, required));
    lines.push(JSON.stringify({ digest: digestOf(encode(OpMessage, op)), op: toJson(OpMessage, op), opMetadata }));
  }
  return lines.map((text) => `${text}\n`).join('');
}

/** Graphviz: one node an op, one edge an input, labelled with the path where a mount or copy uses it. */
export function printDot(definition: Definition): string {
  const ids = number(definition);
  const lines = ['digraph {', '  rankdir=LR', '  node [shape=box fontname="sans-serif"]'];
  for (const vertex of definition.vertices) {
    const isResult = vertex.digest === definition.result?.vertex.digest;
    const style = isResult ? ' style=bold' : vertex.op.kind === 'source' ? ' shape=ellipse' : '';
    lines.push(`  ${id(ids, vertex)} [label=${JSON.stringify(label(vertex))} tooltip="${vertex.digest}"${style}]`);
  }
  for (const { from, to, text } of edges(definition)) {
    lines.push(`  ${id(ids, from)} -> ${id(ids, to)}${text === '' ? '' : ` [label=${JSON.stringify(text)}]`}`);
  }
  return [...lines, '}', ''].join('\n');
}

export function printMermaid(definition: Definition): string {
  const ids = number(definition);
  const quote = (text: string): string =>
    `"${text.replaceAll('#', '#35;').replaceAll('"', '#quot;').replaceAll('\n', ' ')}"`;
  const lines = ['flowchart LR'];
  for (const vertex of definition.vertices) {
    const [open, close] = vertex.op.kind === 'source' ? ['([', '])'] : ['[', ']'];
    lines.push(`  ${id(ids, vertex)}${open}${quote(label(vertex))}${close}`);
  }
  for (const { from, to, text } of edges(definition)) {
    lines.push(`  ${id(ids, from)} -->${text === '' ? '' : `|${quote(text)}|`} ${id(ids, to)}`);
  }
  return [...lines, ''].join('\n');
}

/** A message as JSON value: what is zero is left out, as proto3 does not know it from what is not there. */
function toJson(type: MessageType<unknown>, message: unknown): Record<string, unknown> {
  const json: Record<string, unknown> = {};
  for (const field of type.fields) {
    const value = (message as Record<string, unknown>)[field.name];
    if (value === undefined) continue;
    if (field.cardinality === 'list') {
      const list = value as readonly unknown[];
      if (list.length > 0) json[field.name] = list.map((entry) => valueToJson(field, entry));
    } else if (field.cardinality === 'map') {
      const entries = Object.entries(value as Readonly<Record<string, unknown>>);
      if (entries.length === 0) continue;
      entries.sort(([x], [y]) => compareUtf8(x, y));
      json[field.name] = Object.fromEntries(entries.map(([key, entry]) => [key, valueToJson(field, entry)]));
    } else if (field.oneof !== undefined || !isZero(field.kind, value)) {
      json[field.name] = valueToJson(field, value);
    }
  }
  return json;
}

function valueToJson(field: Field, value: unknown): unknown {
  if (field.type !== undefined) return toJson(field.type(), value);
  if (value instanceof Uint8Array) return base64(value);
  if (typeof value !== 'bigint') return value;
  const number = Number(value);
  return Number.isSafeInteger(number) ? number : String(value);
}

function base64(bytes: Uint8Array): string {
  let binary = '';
  for (const byte of bytes) binary += String.fromCharCode(byte);
  return btoa(binary);
}

function number(definition: Definition): ReadonlyMap<string, number> {
  return new Map(definition.vertices.map((vertex, i) => [vertex.digest, i]));
}

function id(ids: ReadonlyMap<string, number>, vertex: Vertex): string {
  return `v${String(ids.get(vertex.digest))}`;
}

function label(vertex: Vertex): string {
  return vertex.metadata.name ?? describe(vertex.op);
}

function describe(op: Op): string {
  switch (op.kind) {
    case 'source':
      return op.identifier;
    case 'exec':
      return op.meta.args.join(' ');
    case 'file':
      return op.actions.map(({ action }) => action.kind).join(', ');
    default:
      return op.kind;
  }
}

function edges(
  definition: Definition,
): readonly { readonly from: Vertex; readonly to: Vertex; readonly text: string }[] {
  return definition.vertices.flatMap((to) =>
    to.inputs.map(({ vertex: from }, i) => ({ from, to, text: usage(to.op, i) })),
  );
}

/** How an op uses its input `i`, where that is not its root. */
function usage(op: Op, i: number): string {
  if (op.kind === 'exec') {
    const mounts = op.mounts.filter((mount) => mount.input === i && mount.dest !== '/');
    return mounts.map((mount) => mount.dest).join(', ');
  }
  if (op.kind === 'file') {
    const copies = op.actions.filter((entry) => entry.secondaryInput === i);
    return copies.flatMap(({ action }) => (action.kind === 'copy' ? [action.src] : [])).join(', ');
  }
  return '';
}
