import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import type { DescField, DescMessage } from '@bufbuild/protobuf';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { compareUtf8, decode, encode } from './codec.ts';
import type { Field, MessageType } from './codec.ts';
import * as ours from './gen/ops.ts';
import * as theirs from './testing/gen/ops_pb.js';

type Message = Record<string, unknown>;
const types = Object.values(ours);
const schemas = new Map(
  (Object.values(theirs) as { readonly kind?: string }[])
    .filter((value): value is DescMessage => value.kind === 'message')
    .map((schema) => [schema.name, schema]),
);

/**
 * Keys that sort otherwise by UTF-16 units than by UTF-8 bytes, and one that is special in JavaScript. Not those that
 * look like array indices: the library cannot hold them in another order than ascending.
 */
const key = fc.oneof(
  fc.string({ unit: 'grapheme', maxLength: 4 }).map((text) => (/^\d+$/.test(text) ? `n${text}` : text)),
  fc.constantFrom('\u{1F600}', '\uFFFD', '\uE000', '__proto__', ''),
);

function scalar(field: Field): fc.Arbitrary<unknown> {
  switch (field.kind) {
    case 'string':
      return fc.oneof(fc.string({ unit: 'grapheme' }), fc.constant(''));
    case 'bytes':
      return fc.uint8Array({ maxLength: 300 });
    case 'bool':
      return fc.boolean();
    case 'int32':
      return fc.oneof(fc.integer(), fc.constantFrom(0, -1, 2 ** 31 - 1, -(2 ** 31)));
    case 'uint32':
      return fc.oneof(fc.nat(), fc.constantFrom(0, 2 ** 32 - 1));
    case 'int64':
      return fc.oneof(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.constantFrom(0n, -1n, 2n ** 32n, 2n ** 63n - 1n, -(2n ** 63n)),
      );
    case 'uint64':
      return fc.bigInt({ min: 0n, max: 2n ** 64n - 1n });
    case 'message':
      throw new Error('no scalar');
  }
}

function arbitrary(type: MessageType<unknown>, depth: number): fc.Arbitrary<Message> {
  const value = (field: Field): fc.Arbitrary<unknown> =>
    field.type === undefined ? scalar(field) : arbitrary(field.type(), depth - 1);
  const fields = type.fields.filter((field) => field.type === undefined || depth > 0);
  const shape = Object.fromEntries(
    fields.map((field) => [
      field.name,
      field.cardinality === 'one'
        ? value(field)
        : field.cardinality === 'list'
          ? fc.array(value(field), { maxLength: 4 })
          : fc
              .array(fc.tuple(key, value(field)), { maxLength: 5 })
              .map((entries) => Object.assign(Object.create(null) as Message, Object.fromEntries(entries))),
    ]),
  );
  const oneofs = [...new Set(fields.flatMap((field) => field.oneof ?? []))];
  return fc.tuple(fc.record(shape, { requiredKeys: [] }), fc.nat()).map(([message, pick]) => {
    const result: Message = { ...message };
    for (const oneof of oneofs) {
      const members = fields.filter((field) => field.oneof === oneof && field.name in result);
      const chosen = members[pick % Math.max(members.length, 1)];
      for (const member of members) if (member !== chosen) Reflect.deleteProperty(result, member.name);
    }
    return result;
  });
}

/** The same message for the protobuf library, whose maps keep their order of insertion. */
function convert(type: MessageType<unknown>, message: Message): Message {
  const schema = schemas.get(type.name)!;
  const result = create(schema) as unknown as Message;
  for (const field of type.fields) {
    const value = message[field.name];
    if (value === undefined) continue;
    const theirField = schema.fields.find((f) => f.number === field.no) as DescField;
    const one = (v: unknown): unknown => (field.type === undefined ? v : convert(field.type(), v as Message));
    const converted =
      field.cardinality === 'one'
        ? one(value)
        : field.cardinality === 'list'
          ? (value as unknown[]).map(one)
          : Object.assign(
              Object.create(null) as Message,
              Object.fromEntries(
                Object.entries(value as Message)
                  .sort(([a], [b]) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
                  .map(([k, v]) => [k, one(v)]),
              ),
            );
    if (theirField.oneof === undefined) result[theirField.localName] = converted;
    else result[theirField.oneof.localName] = { case: theirField.localName, value: converted };
  }
  return result;
}

describe('codec', () => {
  it('knows every message of the .proto', () => {
    expect(types.map((type) => type.name).sort()).toEqual([...schemas.keys()].sort());
  });

  it.each(types.map((type) => [type.name, type as MessageType<unknown>] as const))(
    'writes the bytes of the protobuf library: %s',
    (name, type) => {
      fc.assert(
        fc.property(arbitrary(type, 3), (message) => {
          const bytes = encode(type, message);
          const expected = toBinary(schemas.get(name)!, convert(type, message) as never);
          expect(Buffer.from(bytes).toString('hex')).toBe(Buffer.from(expected).toString('hex'));
          expect(Buffer.from(encode(type, decode(type, bytes))).equals(bytes)).toBe(true);
        }),
        { numRuns: 60 },
      );
    },
  );

  it('sorts map keys that look like numbers as text', () => {
    const bytes = encode(ours.SourceOp, { attrs: { 10: 'a', 9: 'b', '': 'c' } });
    expect(
      Buffer.from(bytes)
        .toString('latin1')
        .replaceAll(/[^0-9abc]/g, ''),
    ).toBe('c10a9b');
  });

  it('reads what the library reads, fields in any order and twice', () => {
    fc.assert(
      fc.property(arbitrary(ours.FileAction, 3), arbitrary(ours.FileAction, 3), (a, b) => {
        const both = Buffer.concat([encode(ours.FileAction, b), encode(ours.FileAction, a)]);
        const merged = fromBinary(theirs.FileActionSchema, both);
        const again = Buffer.from(encode(ours.FileAction, decode(ours.FileAction, both)));
        expect(again.equals(toBinary(theirs.FileActionSchema, merged))).toBe(true);
      }),
      { numRuns: 200 },
    );
  });

  it('skips unknown fields of every wire type', () => {
    const known = encode(ours.Input, { digest: 'x', index: 7n });
    const unknown = [
      [0xf8, 0x06, 0x96, 0x01], // 111: varint
      [0xf9, 0x06, 1, 2, 3, 4, 5, 6, 7, 8], // fixed64
      [0xfa, 0x06, 2, 9, 9], // bytes
      [0xfd, 0x06, 1, 2, 3, 4], // fixed32
      [0xfb, 0x06, 0x08, 0x01, 0xfc, 0x06], // group
      [0x08, 0x05], // field 1 as varint: not its wire type
    ];
    for (const bytes of unknown) {
      expect(decode(ours.Input, Uint8Array.from([...bytes, ...known]))).toEqual({ digest: 'x', index: 7n });
    }
  });

  it.each([
    ['a length beyond the end', [0x0a, 0x7f, 0x61]],
    ['an endless number', [0x10, ...Array<number>(11).fill(0xff)]],
    ['a cut number', [0x10, 0x80]],
    ['field number 0', [0x02, 0x00]],
    ['wire type 7', [0x0f]],
    ['a group without end', [0x7b, 0x08, 0x01]],
    ['groups in groups', Array<number>(500).fill(0x7b)],
    ['text that is not UTF-8', [0x0a, 0x02, 0xc3, 0x28]],
  ])('refuses %s', (_, bytes) => {
    expect(() => decode(ours.Input, Uint8Array.from(bytes))).toThrow(BuildError);
  });

  it('refuses messages that nest without end', () => {
    // Definition.Source.infos.definition.Source... 200 levels deep.
    let bytes = Uint8Array.of();
    const wrap = (no: number, inner: Uint8Array): Uint8Array => {
      const length: number[] = [];
      for (let rest = inner.length; ; rest >>>= 7) {
        length.push((rest & 0x7f) | (rest > 0x7f ? 0x80 : 0));
        if (rest <= 0x7f) break;
      }
      return Uint8Array.from([(no << 3) | 2, ...length, ...inner]);
    };
    for (let i = 0; i < 200; i++) bytes = Uint8Array.from(wrap(3, wrap(2, wrap(3, bytes))));
    expect(() => decode(ours.Definition, bytes)).toThrow(/nest too deep/);
  });

  it('survives any bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          decode(ours.Definition, bytes);
          decode(ours.Op, bytes);
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
        }
      }),
      { numRuns: 2000 },
    );
  });

  it('compares strings by their UTF-8 bytes', () => {
    fc.assert(
      fc.property(key, key, (a, b) => {
        expect(Math.sign(compareUtf8(a, b))).toBe(Buffer.compare(Buffer.from(a), Buffer.from(b)));
      }),
      { numRuns: 1000 },
    );
  });
});
