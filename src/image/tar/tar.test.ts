import { execFileSync } from 'node:child_process';
import {
  mkdtempSync,
  rmSync,
  writeFileSync,
  mkdirSync,
  symlinkSync,
  linkSync,
  truncateSync,
  readFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { extract } from 'tar-stream';
import { BuildError } from '../../contracts/index.ts';
import { readTar } from './read.ts';
import { TAR_END, encodeTarHeader } from './write.ts';
import { paddingOf } from './types.ts';
import type { TarHeader } from './types.ts';

const plain: TarHeader = {
  type: 'file',
  name: 'f',
  target: '',
  mode: 0o644,
  uid: 0,
  gid: 0,
  size: 0,
  mtime: 0,
  mtimeNsec: 0,
  major: 0,
  minor: 0,
};

function pack(entries: readonly { header: TarHeader; data?: Uint8Array }[]): Buffer {
  const parts = entries.flatMap(({ header, data }) => [
    encodeTarHeader(header),
    data ?? Buffer.alloc(0),
    Buffer.alloc(paddingOf(data?.length ?? 0)),
  ]);
  return Buffer.concat([...parts, TAR_END]);
}

async function* chunked(bytes: Uint8Array, size: number): AsyncGenerator<Uint8Array> {
  for (let at = 0; at < bytes.length; at += size) yield bytes.subarray(at, at + size);
}

async function readAll(bytes: Uint8Array, size = 1 << 20): Promise<{ header: TarHeader; data: string }[]> {
  const found: { header: TarHeader; data: string }[] = [];
  for await (const { header, body } of readTar(chunked(bytes, size))) {
    const parts: Buffer[] = [];
    for await (const piece of body) parts.push(Buffer.from(piece));
    found.push({ header, data: Buffer.concat(parts).toString('latin1') });
  }
  return found;
}

const headerArbitrary = fc.record({
  type: fc.constantFrom('file', 'hardlink', 'symlink', 'directory', 'char-device', 'block-device', 'fifo' as const),
  name: fc.oneof(
    fc.stringMatching(/^[a-z/]{1,300}$/),
    fc.string({ unit: 'binary', minLength: 1, maxLength: 80 }).map((s) => s.replaceAll('\0', '_')),
    fc.constant('a\udc80\udcff/ü'),
  ),
  target: fc.stringMatching(/^[a-zé/]{1,150}$/),
  mode: fc.integer({ min: 0, max: 0o7777 }),
  uid: fc.integer({ min: 0, max: 0xffff_fffe }),
  gid: fc.integer({ min: 0, max: 0xffff_fffe }),
  mtime: fc.integer({ min: -(2 ** 40), max: 2 ** 40 }),
  mtimeNsec: fc.integer({ min: 0, max: 999_999_999 }),
  major: fc.integer({ min: 0, max: 0o7777777 }),
  minor: fc.integer({ min: 0, max: 0o7777777 }),
  data: fc.uint8Array({ maxLength: 2000 }),
  xattrs: fc.option(
    fc.dictionary(fc.stringMatching(/^[a-z.]{1,20}$/), fc.uint8Array({ maxLength: 40 }), { minKeys: 1 }),
  ),
});

describe('round trips', () => {
  test('what is written is read again, in chunks of any size', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(headerArbitrary, { maxLength: 5 }),
        fc.integer({ min: 1, max: 3000 }),
        async (list, size) => {
          const entries = list.map(({ data, xattrs, ...rest }) => {
            const isFile = rest.type === 'file';
            const isDevice = rest.type.endsWith('device');
            const header: TarHeader = {
              ...rest,
              size: isFile ? data.length : 0,
              target: rest.type === 'symlink' || rest.type === 'hardlink' ? rest.target : '',
              major: isDevice ? rest.major : 0,
              minor: isDevice ? rest.minor : 0,
              xattrs:
                xattrs === null ? undefined : new Map(Object.entries(xattrs).sort(([a], [b]) => (a < b ? -1 : 1))),
            };
            return isFile ? { header, data } : { header };
          });
          const read = await readAll(pack(entries), size);
          expect(read.map(({ header }) => header)).toEqual(entries.map(({ header }) => header));
          expect(read.map(({ data }) => data)).toEqual(
            entries.map(({ data }) => Buffer.from(data ?? []).toString('latin1')),
          );
        },
      ),
      { numRuns: 60 },
    );
  });

  test('tar-stream reads what we write', async () => {
    const names = ['short', `${'d'.repeat(120)}/${'f'.repeat(90)}`, 'x'.repeat(180), 'ünïcode'];
    const bytes = pack(names.map((name) => ({ header: { ...plain, name, size: 2 }, data: Buffer.from('hi') })));
    const seen: string[] = [];
    const reader = extract();
    reader.end(bytes);
    for await (const entry of reader) {
      seen.push(entry.header.name);
      entry.resume();
    }
    expect(seen).toEqual(names);
  });

  test('a plain entry needs one block; a long path that splits at a slash too', () => {
    expect(encodeTarHeader(plain).length).toBe(512);
    expect(encodeTarHeader({ ...plain, name: `${'d'.repeat(120)}/${'f'.repeat(90)}` }).length).toBe(512);
    expect(encodeTarHeader({ ...plain, name: 'x'.repeat(101) }).length).toBe(1536);
  });
});

describe('archives of GNU tar', () => {
  let dir = '';
  beforeAll(() => {
    dir = mkdtempSync(join(tmpdir(), 'slipway-tar-'));
    const root = join(dir, 'root');
    mkdirSync(join(root, 'sub', 'd'.repeat(200)), { recursive: true });
    writeFileSync(join(root, 'file'), 'hello');
    writeFileSync(join(root, 'sub', 'd'.repeat(200), 'long'), 'deep');
    symlinkSync(`/${'t'.repeat(150)}`, join(root, 'link'));
    linkSync(join(root, 'file'), join(root, 'hard'));
    writeFileSync(join(root, 'sparse'), 'start');
    truncateSync(join(root, 'sparse'), 300_000);
    writeFileSync(join(root, 'sparse'), 'end', { flag: 'a' });
  });
  afterAll(() => rmSync(dir, { recursive: true, force: true }));

  const formats: readonly (readonly string[])[] = [
    ['--format=gnu'],
    ['--format=gnu', '--sparse'],
    ['--format=posix'],
    ['--format=posix', '--sparse', '--sparse-version=0.0'],
    ['--format=posix', '--sparse', '--sparse-version=0.1'],
    ['--format=posix', '--sparse', '--sparse-version=1.0'],
  ];
  test.each(formats)('%s %s %s', async (...flags) => {
    const out = join(dir, 'out.tar');
    execFileSync('tar', [...flags, '-cf', out, '-C', join(dir, 'root'), '--sort=name', '--numeric-owner', '.']);
    const bytes = readFileSync(out);
    for (const size of [512, 700, 1 << 20]) {
      const read = await readAll(bytes, size);
      const by = new Map(read.map((entry) => [entry.header.name, entry]));
      expect(by.get('./')?.header.type).toBe('directory');
      expect(by.get('./file')?.data).toBe('hello');
      expect(by.get('./hard')?.header).toMatchObject({ type: 'hardlink', target: './file', size: 0 });
      expect(by.get('./link')?.header).toMatchObject({ type: 'symlink', target: `/${'t'.repeat(150)}` });
      expect(by.get(`./sub/${'d'.repeat(200)}/long`)?.data).toBe('deep');
      const sparse = by.get('./sparse');
      expect(sparse?.header.size).toBe(300_003);
      expect(sparse?.data).toBe(`start${'\0'.repeat(299_995)}end`);
    }
  });

  test('old v7 archives', async () => {
    const out = join(dir, 'v7.tar');
    execFileSync('tar', ['--format=v7', '-cf', out, '-C', join(dir, 'root'), 'file']);
    expect((await readAll(readFileSync(out))).map(({ data }) => data)).toEqual(['hello']);
  });

  test('GNU tar lists what we write', () => {
    const out = join(dir, 'ours.tar');
    writeFileSync(
      out,
      pack([
        { header: { ...plain, type: 'directory', name: 'a/', mode: 0o1777 } },
        { header: { ...plain, name: 'a/\udc80', size: 1, uid: 3_000_000, mtime: -5 }, data: Buffer.from('x') },
        { header: { ...plain, type: 'char-device', name: 'null', major: 1, minor: 3 } },
      ]),
    );
    const list = execFileSync('tar', ['-tvf', out, '--utc', '--full-time', '--numeric-owner'], { encoding: 'latin1' });
    expect(list).toContain('drwxrwxrwt 0/0');
    expect(list).toMatch(/3000000\/0\s+1 1969-12-31 23:59:55 a\/\\200/);
    expect(list).toMatch(/crw-r--r-- 0\/0\s+1,3/);
  });
});

describe('hostile and damaged archives', () => {
  const mutate = (change: (block: Buffer) => void, header: Partial<TarHeader> = {}): Buffer => {
    const block = encodeTarHeader({ ...plain, ...header });
    change(block);
    block.fill(0x20, 148, 156);
    block.write(
      `${block
        .reduce((sum, byte) => sum + byte, 0)
        .toString(8)
        .padStart(6, '0')}\0 `,
      148,
    );
    return Buffer.concat([block, TAR_END]);
  };
  const pax = (text: string, type = 'x'): Buffer => {
    const data = Buffer.from(text, 'latin1');
    const block = mutate((b) => b.write(type, 156), { size: data.length }).subarray(0, 512);
    return Buffer.concat([block, data, Buffer.alloc(paddingOf(data.length)), encodeTarHeader(plain), TAR_END]);
  };
  const record = (key: string, value: string): string => {
    const rest = ` ${key}=${value}\n`;
    let length = rest.length + 1;
    while (`${length}${rest}`.length !== length) length++;
    return `${length}${rest}`;
  };

  test.each<[string, Buffer, string]>([
    ['a wrong checksum', Buffer.concat([encodeTarHeader(plain).fill('9', 100, 101), TAR_END]), 'checksum'],
    ['no tar at all', Buffer.alloc(1024, 'x'), 'checksum'],
    [
      'a truncated body',
      pack([{ header: { ...plain, size: 900 }, data: Buffer.alloc(900) }]).subarray(0, 1000),
      'middle',
    ],
    ['a truncated header', pack([{ header: plain }]).subarray(0, 200), 'middle'],
    ['a pax header at the end', mutate((b) => b.write('x', 156), { size: 600 }).subarray(0, 512), 'middle'],
    ['a negative size', mutate((b) => b.fill(0xff, 124, 136)), 'negative size'],
    ['a size beyond 2^53', mutate((b) => b.fill(0x80, 124, 125).fill(0xff, 125, 136)), 'size'],
    ['letters for a size', mutate((b) => b.write('abc', 124)), 'size'],
    ['a uid of -1', mutate((b) => b.fill(0xff, 108, 116)), 'uid'],
    ['an unknown type', mutate((b) => b.write('Z', 156)), 'unknown type'],
    ['a huge long name', mutate((b) => b.write('L', 156), { size: 2 ** 30 }), 'extended header of'],
    ['a huge pax header', mutate((b) => b.write('x', 156), { size: 2 ** 21 }), 'extended header of'],
    ['an entry after the end', Buffer.concat([Buffer.alloc(512), encodeTarHeader(plain)]), 'end marker'],
    ['NUL in a pax path', pax(record('path', 'a\0b')), 'NUL'],
    ['a pax length of 0', pax('0 a=b\n'), 'pax header'],
    ['a pax length past the end', pax('99 a=b\n'), 'pax header'],
    ['a pax record without =', pax('5 ab\n'), 'pax header'],
    ['a pax length that never ends', pax('9'.repeat(400)), 'pax header'],
    ['a pax size that is no number', pax(record('size', '1e3')), 'size'],
    ['a pax time that is no number', pax(record('mtime', 'now')), 'time'],
    ['a sparse map past the file', pax(record('GNU.sparse.map', '0,10') + record('GNU.sparse.size', '5')), 'sparse'],
    [
      'a sparse file of petabytes',
      pax(record('GNU.sparse.map', '') + record('GNU.sparse.size', '999999999999999')),
      'sparse',
    ],
    ['a sparse map backwards', pax(record('GNU.sparse.map', '5,0,0,0') + record('GNU.sparse.size', '5')), 'sparse'],
  ])('%s', async (_, bytes, message) => {
    const error: unknown = await readAll(bytes).then(
      () => undefined,
      (caught: unknown) => caught,
    );
    expect(error).toBeInstanceOf(BuildError);
    expect((error as BuildError).code).toBe('hostile');
    expect((error as BuildError).message).toContain(message);
  });

  test('one reader, one view: a pax size rules the body (CVE-2025-62518), a global path does not', async () => {
    const inner = pack([{ header: { ...plain, name: 'smuggled' } }]).subarray(0, 512);
    const bytes = Buffer.concat([
      pax(record('size', '512')).subarray(0, 1024),
      encodeTarHeader({ ...plain, name: 'outer' }),
      inner,
      TAR_END,
    ]);
    expect((await readAll(bytes)).map(({ header }) => [header.name, header.size])).toEqual([['outer', 512]]);
    const global = pax(record('path', 'evil') + record('uid', '7'), 'g');
    expect((await readAll(global)).map(({ header }) => [header.name, header.uid])).toEqual([['f', 7]]);
  });

  test('trailing bytes, a single zero block and no end marker are all fine', async () => {
    const body = encodeTarHeader(plain);
    for (const tail of [[], [Buffer.alloc(512)], [Buffer.from(TAR_END), Buffer.alloc(700, 'x')]]) {
      expect(await readAll(Buffer.concat([body, ...tail]))).toHaveLength(1);
    }
    expect(await readAll(Buffer.alloc(0))).toEqual([]);
  });

  test('random damage ends in entries or in a BuildError', async () => {
    const good = pack([
      { header: { ...plain, name: 'a', size: 3 }, data: Buffer.from('abc') },
      { header: { ...plain, name: 'ü'.repeat(100), xattrs: new Map([['user.a', Buffer.from('b')]]) } },
    ]);
    await fc.assert(
      fc.asyncProperty(fc.array(fc.tuple(fc.nat(good.length - 1), fc.nat(255)), { maxLength: 8 }), async (changes) => {
        const bytes = Buffer.from(good);
        for (const [at, value] of changes) bytes[at] = value;
        try {
          await readAll(bytes, 333);
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
        }
      }),
    );
  });
});
