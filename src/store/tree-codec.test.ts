import { createHash } from 'node:crypto';
import { crc32 } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { BuildError, type Digest, type Tree, type TreeEntry } from '../contracts/index.ts';
import { decodeTree, encodeTree } from './tree-codec.ts';
import { compareTreePaths } from './tree-order.ts';

const DIGEST: Digest = `sha256:${createHash('sha256').update('x').digest('hex')}`;
const META = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNsec: 5 };

const EVERYTHING: Tree = new Map<string, TreeEntry>([
  ['', { type: 'directory', ...META, mode: 0o755 }],
  ['bin', { type: 'directory', ...META, mode: 0o1777, opaque: true }],
  [
    'bin/ping',
    { type: 'file', ...META, mode: 0o4755, size: 5, xattrs: new Map([['security.capability', Uint8Array.of(0, 255)]]) },
  ],
  [
    'bin/ping2',
    {
      type: 'file',
      ...META,
      mode: 0o4755,
      size: 5,
      hardlink: 'bin/ping',
      xattrs: new Map([['security.capability', Uint8Array.of(0, 255)]]),
    },
  ],
  ['dev', { type: 'char-device', ...META, major: 1, minor: 3 }],
  ['disk', { type: 'block-device', ...META, major: 259, minor: 1_048_575 }],
  ['fifo', { type: 'fifo', ...META, uid: 4_294_967_294, gid: 100_000 }],
  ['file', { type: 'file', ...META, mtime: -1, mtimeNsec: 999_999_999, size: 2 ** 40, digest: DIGEST }],
  ['file\udcff', { type: 'file', ...META, size: 0, digest: DIGEST }],
  ['gone', { type: 'whiteout' }],
  ['link', { type: 'symlink', ...META, mode: 0o777, target: '../\udc80/ü' }],
  ['sock', { type: 'socket', ...META }],
  [
    'ü/日本/😀',
    {
      type: 'directory',
      ...META,
      xattrs: new Map([
        ['user.a', new Uint8Array(0)],
        ['user.ü', Uint8Array.of(1)],
      ]),
    },
  ],
]);

test('every kind of entry comes back', () => {
  expect([...decodeTree(encodeTree(EVERYTHING))]).toEqual([...EVERYTHING]);
  expect(decodeTree(encodeTree(new Map())).size).toBe(0);
  const root: Tree = new Map([['', { type: 'directory', ...META }]]);
  expect([...decodeTree(encodeTree(root))]).toEqual([...root]);
});

test('the bytes of version 2 do not change', () => {
  expect(createHash('sha256').update(encodeTree(EVERYTHING)).digest('hex')).toBe(
    '61b7547ef80cd0de3c00e6be4e6948f3880bef3dcb48fdeef90c57a117019e49',
  );
});

const name = fc.stringMatching(/^[a-c\-.é😀]{1,4}$/u).filter((text) => text !== '.' && text !== '..');
const meta = fc.record({
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.nat(70_000),
  gid: fc.nat(70_000),
  mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
});
const entry: fc.Arbitrary<TreeEntry> = fc.oneof(
  meta.map((fields) => ({ type: 'directory' as const, ...fields })),
  fc
    .tuple(meta, fc.maxSafeNat(), fc.boolean())
    .map(([fields, size, known]) => ({ type: 'file' as const, ...fields, size, ...(known ? { digest: DIGEST } : {}) })),
  fc
    .tuple(meta, fc.stringMatching(/^[^\0\ud800-\udfff]{0,9}$/))
    .map(([fields, target]) => ({ type: 'symlink' as const, ...fields, target })),
  fc.constant({ type: 'whiteout' as const }),
);
const anyTree = fc
  .array(
    fc.tuple(
      fc.array(name, { minLength: 1, maxLength: 3 }).map((names) => names.join('/')),
      entry,
    ),
  )
  .map((entries): Tree => new Map([...new Map(entries)].sort(([a], [b]) => compareTreePaths(a, b))));

test('any tree comes back', () => {
  fc.assert(
    fc.property(anyTree, (tree) => {
      expect([...decodeTree(encodeTree(tree))]).toEqual([...tree]);
    }),
  );
});

describe('what we did not write is refused', () => {
  test('any changed, cut or added byte', () => {
    const good = encodeTree(EVERYTHING);
    for (let at = 0; at < good.length; at++) {
      const bad = Uint8Array.from(good);
      bad[at] = (bad[at] ?? 0) ^ 0x40;
      expect(() => decodeTree(bad)).toThrow(BuildError);
    }
    for (let length = 0; length < good.length; length += 7)
      expect(() => decodeTree(good.subarray(0, length))).toThrow(BuildError);
    expect(() => decodeTree(Buffer.concat([good, Buffer.of(0)]))).toThrow(BuildError);
  });

  test('bytes with a right checksum and wrong content', () => {
    const good = encodeTree(EVERYTHING);
    fc.assert(
      fc.property(fc.integer({ min: 12, max: good.length - 1 }), fc.integer({ min: 1, max: 255 }), (at, mask) => {
        const bad = Buffer.from(good);
        bad[at] = (bad[at] ?? 0) ^ mask;
        bad.writeUInt32LE(crc32(bad.subarray(12)), 8);
        let decoded: Tree;
        try {
          decoded = decodeTree(bad);
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
          return;
        }
        const paths = [...decoded.keys()];
        expect(paths).toEqual(paths.toSorted(compareTreePaths));
        for (const path of paths) expect(`/${path}/`).not.toMatch(/\/\.{1,2}\//);
      }),
      { numRuns: 3000 },
    );
  });

  /** Encodes good paths, then puts others of the same length into their place. */
  function forge(good: readonly string[], bad: readonly string[]): Uint8Array {
    const bytes = Buffer.from(encodeTree(new Map(good.map((path) => [path, { type: 'whiteout' }]))));
    const at = bytes.indexOf(good.join('\0'));
    bytes.write(bad.join('\0'), at);
    bytes.writeUInt32LE(crc32(bytes.subarray(12)), 8);
    return bytes;
  }

  test.each([['../x'], ['a/../b'], ['..'], ['.'], ['a/.'], ['/a'], ['a/'], ['a//b']])('the path %j', (path) => {
    const good = 'x'.repeat(path.length);
    for (const around of [[], ['A'], ['A', 'B/C']]) {
      expect(() => decodeTree(forge([...around, good, 'z'], [...around, path, 'z']))).toThrow(/not clean/);
    }
    const tree: Tree = new Map([[path, { type: 'whiteout' }]]);
    expect(() => encodeTree(tree)).toThrow(expect.objectContaining({ code: 'internal' }) as BuildError);
  });

  test.each([[['b', 'a']], [['a-b', 'a/b']], [['a/b', 'a/a']], [['d/b', 'd/b/c', 'd/a']], [['a/b', 'a/b']]])(
    'the order %j',
    (paths) => {
      const good = paths.map((path, i) => String.fromCharCode(0x61 + i) + path.slice(1).replaceAll('/', 'x'));
      expect(() => decodeTree(forge(good, paths))).toThrow(/out of order/);
      if (new Set(paths).size < paths.length) return;
      const tree: Tree = new Map(paths.map((path) => [path, { type: 'whiteout' }]));
      expect(() => encodeTree(tree)).toThrow(/out of order/);
    },
  );

  test.each([
    { mode: 0o10000 },
    { mode: -1 },
    { mtime: 1.5 },
    { mtime: Infinity },
    { mtimeNsec: 1_000_000_000 },
    { mtimeNsec: -1 },
  ])('%j is not written', (fields) => {
    expect(() => encodeTree(new Map([['a', { type: 'fifo', ...META, ...fields }]]))).toThrow(/impossible/);
  });

  test('another version says so', () => {
    const other = Buffer.from(encodeTree(EVERYTHING));
    other.writeUInt32LE(1, 4);
    expect(() => decodeTree(other)).toThrow(/version is 1/);
  });
});

test('NUL in a path or link is refused when it is written', () => {
  expect(() => encodeTree(new Map([['a\0b', { type: 'whiteout' }]]))).toThrow(/NUL/);
  expect(() => encodeTree(new Map([['a', { type: 'symlink', ...META, target: 'x\0y' }]]))).toThrow(/NUL/);
});

test('a hard link to nothing is a bug of the writer', () => {
  expect(() => encodeTree(new Map([['a', { type: 'file', ...META, size: 0, hardlink: 'b' }]]))).toThrow(
    /which is not in it/,
  );
});
