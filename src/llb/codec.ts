/**
 * A small proto3 codec over field tables (`gen/ops.ts`). Encoding is deterministic in the sense of Go's
 * `proto.MarshalOptions{Deterministic: true}`: fields ascending, map keys in byte order, zero values left out. That is
 * what digests of vertices stand on. The protobuf library does the same, but costs more to load than the rest of the
 * front end together; the tests hold us to its bytes.
 */
import { BuildError } from '../contracts/index.ts';

export type FieldKind = 'string' | 'bytes' | 'bool' | 'int32' | 'uint32' | 'int64' | 'uint64' | 'message';

export interface Field {
  readonly no: number;
  readonly name: string;
  readonly kind: FieldKind;
  /** A map's keys are strings. */
  readonly cardinality: 'one' | 'list' | 'map';
  /** Members of a oneof are written even when they hold a zero value. */
  readonly oneof?: string;
  /** For `message`; of the values in a map. A function, as types refer to each other. */
  readonly type?: () => MessageType<unknown>;
}

export interface MessageType<T> {
  readonly name: string;
  /** Ascending by number. */
  readonly fields: readonly Field[];
  /** Carries the shape; never set. */
  readonly shape?: T;
}

const VARINT = 0;
const FIXED64 = 1;
const BYTES = 2;
const GROUP_START = 3;
const GROUP_END = 4;
const FIXED32 = 5;

/** Deeper messages are refused; LLB itself nests 8 deep. */
const DEPTH_MAX = 64;

type Message = Record<string, unknown>;

/** Proto3 bytes of `value`. */
export function encode<T>(type: MessageType<T>, value: T): Uint8Array {
  const writer = new BackwardWriter();
  writeMessage(writer, type, value as Message);
  return writer.result();
}

/**
 * Reads a message; unknown fields are skipped, strings must be UTF-8.
 *
 * @throws BuildError `usage` when the bytes are not a message of this type.
 */
export function decode<T>(type: MessageType<T>, bytes: Uint8Array): T {
  const reader: Reader = { bytes, position: 0 };
  const message: Message = {};
  readMessage(reader, type, bytes.length, message, 0);
  return message as T;
}

/** Fills a buffer from its end, so that a length is known when it is written. */
class BackwardWriter {
  #bytes = new Uint8Array(1024);
  #start = this.#bytes.length;

  get position(): number {
    return this.#bytes.length - this.#start;
  }

  #reserve(length: number): void {
    if (length <= this.#start) return;
    const used = this.position;
    const grown = new Uint8Array(Math.max(this.#bytes.length * 2, used + length));
    grown.set(this.#bytes.subarray(this.#start), grown.length - used);
    this.#bytes = grown;
    this.#start = grown.length - used;
  }

  raw(data: Uint8Array): void {
    this.#reserve(data.length);
    this.#start -= data.length;
    this.#bytes.set(data, this.#start);
  }

  /** An integer of at most 32 bits without sign. */
  varint32(value: number): void {
    let length = 1;
    for (let rest = value >>> 7; rest !== 0; rest >>>= 7) length++;
    this.#reserve(length);
    this.#start -= length;
    let rest = value;
    for (let i = 0; i < length; i++) {
      this.#bytes[this.#start + i] = (rest & 0x7f) | (i === length - 1 ? 0 : 0x80);
      rest >>>= 7;
    }
  }

  varint64(value: bigint): void {
    const bits = BigInt.asUintN(64, value);
    if (bits <= 0xffff_ffffn) {
      this.varint32(Number(bits));
      return;
    }
    const digits: number[] = [];
    for (let rest = bits; rest !== 0n; rest >>= 7n) digits.push(Number(rest & 0x7fn));
    this.raw(Uint8Array.from(digits, (digit, i) => digit | (i === digits.length - 1 ? 0 : 0x80)));
  }

  result(): Uint8Array {
    return this.#bytes.slice(this.#start);
  }
}

const utf8Encoder = new TextEncoder();
const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true });

function writeMessage(writer: BackwardWriter, type: MessageType<unknown>, message: Message): void {
  for (let i = type.fields.length - 1; i >= 0; i--) {
    const field = type.fields[i];
    if (field === undefined) continue;
    const value = message[field.name];
    if (value === undefined) continue;
    if (field.cardinality === 'one') {
      if (field.oneof === undefined && isZero(field.kind, value)) continue;
      writeField(writer, field, field.no, value);
    } else if (field.cardinality === 'list') {
      writeList(writer, field, value as readonly unknown[]);
    } else {
      writeMap(writer, field, value as Readonly<Record<string, unknown>>);
    }
  }
}

/** Whether a value is its kind's zero, which is not written. Messages have none. */
export function isZero(kind: FieldKind, value: unknown): boolean {
  if (kind === 'bytes') return (value as Uint8Array).length === 0;
  return kind !== 'message' && (value === '' || value === 0 || value === 0n || value === false);
}

function writeList(writer: BackwardWriter, field: Field, values: readonly unknown[]): void {
  const packed = field.kind !== 'string' && field.kind !== 'bytes' && field.kind !== 'message';
  const end = writer.position;
  for (let i = values.length - 1; i >= 0; i--) {
    if (packed) writeValue(writer, field, values[i]);
    else writeField(writer, field, field.no, values[i]);
  }
  if (packed && values.length > 0) {
    writer.varint32(writer.position - end);
    writer.varint32((field.no << 3) | BYTES);
  }
}

/** A map is a list of entries with key 1 and value 2, both always written. */
function writeMap(writer: BackwardWriter, field: Field, map: Readonly<Record<string, unknown>>): void {
  const entries = Object.entries(map).sort(([a], [b]) => compareUtf8(b, a));
  for (const [key, value] of entries) {
    const end = writer.position;
    writeField(writer, field, 2, value);
    const bytes = utf8Encoder.encode(key);
    writer.raw(bytes);
    writer.varint32(bytes.length);
    writer.varint32((1 << 3) | BYTES);
    writer.varint32(writer.position - end);
    writer.varint32((field.no << 3) | BYTES);
  }
}

function writeField(writer: BackwardWriter, field: Field, no: number, value: unknown): void {
  const end = writer.position;
  switch (field.kind) {
    case 'string':
      writer.raw(utf8Encoder.encode(value as string));
      break;
    case 'bytes':
      writer.raw(value as Uint8Array);
      break;
    case 'message':
      writeMessage(writer, typeOf(field), value as Message);
      break;
    default:
      writeValue(writer, field, value);
      writer.varint32((no << 3) | VARINT);
      return;
  }
  writer.varint32(writer.position - end);
  writer.varint32((no << 3) | BYTES);
}

function writeValue(writer: BackwardWriter, field: Field, value: unknown): void {
  switch (field.kind) {
    case 'bool':
      writer.varint32(value === true ? 1 : 0);
      return;
    case 'uint32':
      writer.varint32(value as number);
      return;
    case 'int32':
      // A negative int32 is written with the 64 bits of its sign extension.
      if ((value as number) < 0) writer.varint64(BigInt(value as number));
      else writer.varint32(value as number);
      return;
    default:
      writer.varint64(value as bigint);
  }
}

interface Reader {
  readonly bytes: Uint8Array;
  position: number;
}

function readMessage(reader: Reader, type: MessageType<unknown>, end: number, message: Message, depth: number): void {
  if (depth > DEPTH_MAX) throw invalid(type.name, 'messages nest too deep');
  while (reader.position < end) {
    const tag = Number(readVarint(reader, end, type.name));
    const no = Math.floor(tag / 8);
    const wire = tag % 8;
    if (no === 0 || no > 0x1fff_ffff) throw invalid(type.name, `no field has number ${no}`);
    const field = type.fields.find((f) => f.no === no);
    if (field === undefined || !readField(reader, type, field, wire, end, message, depth)) {
      skip(reader, no, wire, end, type.name, depth);
    }
  }
}

/** False when the wire type is not this field's: then it is skipped like an unknown one. */
function readField(
  reader: Reader,
  type: MessageType<unknown>,
  field: Field,
  wire: number,
  end: number,
  message: Message,
  depth: number,
): boolean {
  const delimited = field.kind === 'string' || field.kind === 'bytes' || field.kind === 'message';
  if (field.cardinality === 'map') {
    if (wire !== BYTES) return false;
    const stop = readLength(reader, end, type.name);
    readEntry(reader, type, field, stop, message, depth);
    return true;
  }
  if (field.cardinality === 'list') {
    const list = (message[field.name] ??= []) as unknown[];
    if (!delimited && wire === BYTES) {
      const stop = readLength(reader, end, type.name);
      while (reader.position < stop) list.push(readScalar(reader, field, stop, type.name));
      return true;
    }
    if (wire !== (delimited ? BYTES : VARINT)) return false;
    list.push(readOne(reader, field, end, type.name, undefined, depth));
    return true;
  }
  if (wire !== (delimited ? BYTES : VARINT)) return false;
  const before = message[field.name];
  if (field.oneof !== undefined) {
    for (const other of type.fields) {
      if (other.oneof === field.oneof && other !== field) Reflect.deleteProperty(message, other.name);
    }
  }
  message[field.name] = readOne(reader, field, end, type.name, before, depth);
  return true;
}

/** `before` is what the field held: messages that come twice are merged. */
function readOne(reader: Reader, field: Field, end: number, where: string, before: unknown, depth: number): unknown {
  if (field.kind !== 'string' && field.kind !== 'bytes' && field.kind !== 'message') {
    return readScalar(reader, field, end, where);
  }
  const stop = readLength(reader, end, where);
  if (field.kind === 'message') {
    const message = (before ?? {}) as Message;
    readMessage(reader, typeOf(field), stop, message, depth + 1);
    return message;
  }
  const bytes = reader.bytes.subarray(reader.position, stop);
  reader.position = stop;
  return field.kind === 'bytes' ? bytes.slice() : readString(bytes, where);
}

function readEntry(
  reader: Reader,
  type: MessageType<unknown>,
  field: Field,
  end: number,
  message: Message,
  depth: number,
): void {
  let key = '';
  let value = zeroOf(field);
  while (reader.position < end) {
    const tag = Number(readVarint(reader, end, type.name));
    if (tag === ((1 << 3) | BYTES)) {
      const stop = readLength(reader, end, type.name);
      key = readString(reader.bytes.subarray(reader.position, stop), type.name);
      reader.position = stop;
    } else if (Math.floor(tag / 8) === 2) {
      const holder: Message = { value };
      const single: Field = { ...field, no: 2, name: 'value', cardinality: 'one' };
      if (!readField(reader, type, single, tag % 8, end, holder, depth)) {
        skip(reader, 2, tag % 8, end, type.name, depth);
      }
      value = holder['value'];
    } else {
      skip(reader, Math.floor(tag / 8), tag % 8, end, type.name, depth);
    }
  }
  // Without a prototype, so that no key (`__proto__`) is special.
  const map = (message[field.name] ??= Object.create(null)) as Record<string, unknown>;
  map[key] = value;
}

function zeroOf(field: Field): unknown {
  switch (field.kind) {
    case 'string':
      return '';
    case 'bytes':
      return new Uint8Array();
    case 'bool':
      return false;
    case 'message':
      return {};
    case 'int32':
    case 'uint32':
      return 0;
    default:
      return 0n;
  }
}

function readScalar(reader: Reader, field: Field, end: number, where: string): unknown {
  const value = readVarint(reader, end, where);
  switch (field.kind) {
    case 'bool':
      return value !== 0n;
    case 'int32':
      return Number(BigInt.asIntN(32, value));
    case 'uint32':
      return Number(BigInt.asUintN(32, value));
    case 'uint64':
      return value;
    default:
      return BigInt.asIntN(64, value);
  }
}

function readString(bytes: Uint8Array, where: string): string {
  try {
    return utf8Decoder.decode(bytes);
  } catch {
    throw invalid(where, 'a string is not UTF-8');
  }
}

function readLength(reader: Reader, end: number, where: string): number {
  const length = readVarint(reader, end, where);
  if (length > BigInt(end - reader.position)) throw invalid(where, 'a field is longer than its message');
  return reader.position + Number(length);
}

function readVarint(reader: Reader, end: number, where: string): bigint {
  let low = 0;
  for (let i = 0; i < 4; i++) {
    const byte = reader.bytes[reader.position];
    if (byte === undefined || reader.position >= end) throw invalid(where, 'it ends inside a number');
    reader.position++;
    low |= (byte & 0x7f) << (7 * i);
    if (byte < 0x80) return BigInt(low);
  }
  let value = BigInt(low);
  for (let i = 4; i < 10; i++) {
    const byte = reader.bytes[reader.position];
    if (byte === undefined || reader.position >= end) throw invalid(where, 'it ends inside a number');
    reader.position++;
    value |= BigInt(byte & 0x7f) << BigInt(7 * i);
    if (byte < 0x80) return BigInt.asUintN(64, value);
  }
  throw invalid(where, 'a number has more than 64 bits');
}

function skip(reader: Reader, no: number, wire: number, end: number, where: string, depth: number): void {
  if (depth > DEPTH_MAX) throw invalid(where, 'messages nest too deep');
  switch (wire) {
    case VARINT:
      readVarint(reader, end, where);
      return;
    case BYTES:
      reader.position = readLength(reader, end, where);
      return;
    case FIXED64:
    case FIXED32:
      reader.position += wire === FIXED64 ? 8 : 4;
      if (reader.position > end) throw invalid(where, 'it ends inside a field');
      return;
    case GROUP_START:
      for (;;) {
        const tag = Number(readVarint(reader, end, where));
        if (tag % 8 === GROUP_END && Math.floor(tag / 8) === no) return;
        skip(reader, Math.floor(tag / 8), tag % 8, end, where, depth + 1);
      }
    default:
      throw invalid(where, `wire type ${wire} is not known here`);
  }
}

function typeOf(field: Field): MessageType<unknown> {
  if (field.type === undefined) throw new TypeError(`field ${field.name} has no message type`);
  return field.type();
}

/** The order of the keys' UTF-8 bytes, which is the order of code points. */
export function compareUtf8(a: string, b: string): number {
  const length = Math.min(a.length, b.length);
  for (let i = 0; i < length; i++) {
    const x = a.charCodeAt(i);
    const y = b.charCodeAt(i);
    if (x === y) continue;
    // Surrogates stand for code points above all others.
    const xHigh = x >= 0xd800 && x <= 0xdfff;
    const yHigh = y >= 0xd800 && y <= 0xdfff;
    if (xHigh !== yHigh) return xHigh ? 1 : -1;
    return x - y;
  }
  return a.length - b.length;
}

function invalid(where: string, reason: string): BuildError {
  return new BuildError({ code: 'usage', message: `not an LLB definition: in pb.${where}, ${reason}` });
}
