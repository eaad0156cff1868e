import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  linkSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  symlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadLocalWriter } from '../../export/index.ts';
import { decode, encode } from '../../llb/index.ts';
import { createContexts } from '../../source/index.ts';
import { Packet } from '../gen/session.ts';
import type { PbPacket } from '../gen/session.ts';
import { createChannel } from '../grpc/client.ts';
import { serve, type Handler } from '../grpc/server.ts';
import { fileSyncServices } from '../session/file-sync.ts';
import { FILE_SYNC } from '../session/methods.ts';
import { socketPair } from '../transport/socket-pair.ts';
import { inclusion } from './include.ts';
import { fromGoMode, toGoMode } from './mode.ts';
import { PortableWriter } from './portable-writer.ts';
import { receiveFiles } from './receive.ts';
import { dataHeader, PACKET } from './send.ts';

let root = '';
beforeEach(() => (root = mkdtempSync(join(tmpdir(), 'fsutil-'))));
afterEach(() => rmSync(root, { recursive: true }));

function write(files: Readonly<Record<string, string | Uint8Array>>, at = 'from'): string {
  for (const [path, data] of Object.entries(files)) {
    mkdirSync(dirname(join(root, at, path)), { recursive: true });
    writeFileSync(join(root, at, path), data);
  }
  return join(root, at);
}

const tree = (directory: string, excludes: readonly string[] = []) => {
  const found = createContexts(new Map([['c', { directory }]]), new AbortController().signal)('c', excludes);
  if (found === undefined) throw new Error('no tree');
  return found;
};

async function pair(handler: readonly [string, Handler]) {
  const [near, far] = await socketPair();
  const server = serve(far, new Map([handler]));
  const channel = createChannel(near);
  return {
    channel,
    close: () => {
      channel.close();
      server.close();
    },
  };
}

/** A daemon that asks for a context and takes all of it. */
async function fetchAll(
  directory: string,
  metadata: Readonly<Record<string, readonly string[]>> = {},
): Promise<{ readonly entries: readonly string[]; readonly contents: Readonly<Record<string, Buffer>> }> {
  const contexts = createContexts(new Map([['c', { directory }]]), new AbortController().signal);
  const [service] = fileSyncServices(contexts);
  if (service === undefined) throw new Error('no service');
  const { channel, close } = await pair(service);
  const call = channel.open(FILE_SYNC, { metadata: { 'dir-name': 'c', ...metadata } });
  const entries: string[] = [];
  const paths = new Map<number, string>();
  const contents: Record<string, Buffer> = {};
  let waiting = 0;
  let listed = false;
  try {
    for await (const message of call.incoming) {
      const packet = decode(Packet, message);
      if (packet.type === PACKET.err) throw new Error(Buffer.from(packet.data ?? []).toString());
      if ((packet.type ?? 0) === PACKET.stat && packet.stat !== undefined) {
        const path = Buffer.from(packet.stat.path ?? []).toString();
        const mode = fromGoMode(packet.stat.mode ?? 0);
        const link = Buffer.from(packet.stat.linkname ?? []).toString();
        const id = entries.push(`${mode?.type ?? '?'} ${path}${link === '' ? '' : ` -> ${link}`}`) - 1;
        if (mode?.type === 'file' && link === '') {
          paths.set(id, path);
          contents[path] = Buffer.alloc(0);
          waiting++;
          await call.write(encode(Packet, { type: PACKET.req, ID: id }));
        }
      } else if ((packet.type ?? 0) === PACKET.stat) listed = true;
      else if (packet.type === PACKET.data) {
        const path = paths.get(packet.ID ?? 0) ?? '';
        if (packet.data === undefined) waiting--;
        else contents[path] = Buffer.concat([contents[path] ?? Buffer.alloc(0), packet.data]);
      } else if (packet.type === PACKET.fin) break;
      if (listed && waiting === 0) await call.write(encode(Packet, { type: PACKET.fin }));
    }
    call.end();
    await call.done;
  } finally {
    close();
  }
  return { entries, contents };
}

describe('sending a context', () => {
  it('lists everything in order and sends the bytes of what is asked for', async () => {
    const big = Buffer.from(Array.from({ length: 3_000_000 }, (_, i) => i % 251));
    const directory = write({ 'b/x': 'x', 'b.txt': 'dot', a: 'a', empty: '', big, ü: 'ü' });
    symlinkSync('b/x', join(directory, 'link'));
    linkSync(join(directory, 'a'), join(directory, 'hard'));
    const { entries, contents } = await fetchAll(directory);
    expect(entries).toEqual([
      'file a',
      'directory b',
      'file b/x',
      'file b.txt',
      'file big',
      'file empty',
      'file hard -> a',
      'symlink link -> b/x',
      'file ü',
    ]);
    expect(contents['big']?.equals(big)).toBe(true);
    expect(contents['b/x']?.toString()).toBe('x');
    expect(contents['empty']).toHaveLength(0);
  });

  it('sends sockets as empty files, pipes as what they are', async () => {
    const directory = write({ a: 'a' });
    const listening = createServer();
    await new Promise<void>((resolve) => listening.listen(join(directory, 'socket'), resolve));
    execFileSync('mkfifo', [join(directory, 'pipe')]);
    const { entries, contents } = await fetchAll(directory);
    listening.close();
    expect(entries).toEqual(['file a', 'fifo pipe', 'file socket']);
    expect(contents['socket']).toHaveLength(0);
  });

  it('sends many small files', async () => {
    const files = Object.fromEntries(Array.from({ length: 2000 }, (_, i) => [`d${i % 7}/f${i}`, `content ${i}`]));
    const { contents } = await fetchAll(write(files));
    expect(Object.fromEntries(Object.entries(contents).map(([path, data]) => [path, data.toString()]))).toEqual(files);
  });

  it('leaves out what is excluded, follows what is named', async () => {
    const directory = write({
      'v1/app': '1',
      'v2/app': '2',
      other: 'o',
      'cfg/a.yml': 'a',
      'cfg/b.json': 'b',
      'skip/x': 'x',
    });
    symlinkSync('v2', join(directory, 'current'));
    symlinkSync('/v1/app', join(directory, 'cfg/link.yml'));
    expect((await fetchAll(directory, { 'exclude-patterns': ['v1', 'skip', 'cfg/*.json'] })).entries).toEqual([
      'directory cfg',
      'file cfg/a.yml',
      'symlink cfg/link.yml -> /v1/app',
      'symlink current -> v2',
      'file other',
      'directory v2',
      'file v2/app',
    ]);
    expect((await fetchAll(directory, { followpaths: ['current/app', 'cfg/*.yml'] })).entries).toEqual([
      'directory cfg',
      'file cfg/a.yml',
      'symlink cfg/link.yml -> /v1/app',
      'symlink current -> v2',
      'directory v1',
      'file v1/app',
      'directory v2',
      'file v2/app',
    ]);
  });

  it('makes the first name that is sent the file of its other names', async () => {
    const directory = write({ 'a/first': 'same' });
    mkdirSync(join(directory, 'b'));
    linkSync(join(directory, 'a/first'), join(directory, 'b/second'));
    linkSync(join(directory, 'a/first'), join(directory, 'b/third'));
    const { entries, contents } = await fetchAll(directory, { followpaths: ['b'] });
    expect(entries).toEqual(['directory b', 'file b/second', 'file b/third -> b/second']);
    expect(contents['b/second']?.toString()).toBe('same');
  });

  it('takes escaped patterns, and no name that was not given', async () => {
    const directory = write({ ü: '1', b: '2' });
    const metadata = { 'exclude-patterns': ['%C3%BC'], 'exclude-patterns-encoded': ['1'] };
    expect((await fetchAll(directory, metadata)).entries).toEqual(['file b']);
    await expect(fetchAll(directory, { 'dir-name': ['other'] })).rejects.toThrow(/no access allowed to dir "other"/);
  });

  it('the header before data is what the codec would write', () => {
    for (const [id, length] of [
      [0, 1],
      [5, 300],
      [100_000, 70_000],
    ] as const) {
      const data = new Uint8Array(length).fill(1);
      const whole = encode(Packet, { type: PACKET.data, ID: id, data });
      expect(Buffer.concat([dataHeader(id, length), data]).equals(Buffer.from(whole))).toBe(true);
    }
  });
});

describe('which paths are wanted', () => {
  it.each<[readonly string[], readonly string[], readonly string[]]>([
    [['a'], ['a', 'a/x', 'a/x/y'], ['ab', 'b', 'b/a']],
    [['a/b/c'], ['a/b/c', 'a/b/c/d'], ['a', 'a/b', 'a/c']],
    [['*.txt'], ['x.txt'], ['d/x.txt', 'x.md']],
    [['d/*/z'], ['d/1/z'], ['d/1', 'd/1/y', 'e/1/z']],
  ])('%j', async (paths, wanted, others) => {
    const found = await inclusion(tree(write({ x: '' })), [], paths);
    expect(wanted.filter((path) => found?.has(path) === true)).toEqual(wanted);
    expect(others.filter((path) => found?.has(path) === true)).toEqual([]);
    for (const path of wanted) {
      const parts = path.split('/');
      for (let i = 1; i < parts.length; i++) expect(found?.mayHaveBelow(parts.slice(0, i).join('/')), path).toBe(true);
    }
  });

  it('the root wants everything, a circle of links ends', async () => {
    const directory = write({ x: '' });
    symlinkSync('b', join(directory, 'a'));
    symlinkSync('a', join(directory, 'b'));
    expect(await inclusion(tree(directory), [], ['/'])).toBeUndefined();
    const circle = await inclusion(tree(directory), [], ['a/file']);
    expect(circle?.has('a')).toBe(true);
    expect(circle?.has('b')).toBe(true);
    expect(circle?.has('x')).toBe(false);
  });
});

it.each([
  ['file', 0o644, 0o644],
  ['file', 0o4755, 0o755 + 2 ** 23],
  ['directory', 0o1777, 2 ** 31 + 0o777 + 2 ** 20],
  ['symlink', 0o777, 2 ** 27 + 0o777],
  ['char-device', 0o600, 2 ** 26 + 2 ** 21 + 0o600],
  ['fifo', 0o644, 2 ** 25 + 0o644],
] as const)('%s %i travels as Go has it', (type, mode, go) => {
  expect(toGoMode(type, mode)).toBe(go);
  expect(fromGoMode(go)).toEqual({ type, mode });
});

describe('receiving a directory', () => {
  const stat = (path: string, more: Partial<NonNullable<PbPacket['stat']>> = {}): PbPacket => ({
    type: PACKET.stat,
    stat: { path: Buffer.from(path), mode: 0o644, size: 0n, modTime: 1_600_000_000_000_000_000n, ...more },
  });
  const directoryStat = (path: string): PbPacket => stat(path, { mode: 2 ** 31 + 0o750 });

  /** A daemon that sends these packets; files get their bytes when they are asked for. */
  async function receive(
    packets: readonly PbPacket[],
    contents: Readonly<Record<number, string>> = {},
    options: { readonly removeOthers?: boolean; readonly portable?: boolean } = {},
  ): Promise<void> {
    const dest = join(root, 'to');
    mkdirSync(dest, { recursive: true });
    const LocalWriter = await loadLocalWriter();
    const { channel, close } = await pair([
      '/receive',
      async (call) => {
        const writer = options.portable === true ? new PortableWriter(dest) : new LocalWriter(dest, undefined);
        try {
          await receiveFiles(call, writer, { removeOthers: options.removeOthers === true });
        } finally {
          writer.close();
        }
      },
    ]);
    const call = channel.open('/receive');
    for (const packet of packets) await call.write(encode(Packet, packet));
    const answering = (async () => {
      for await (const message of call.incoming) {
        const packet = decode(Packet, message);
        if (packet.type === PACKET.fin) {
          await call.write(encode(Packet, { type: PACKET.fin }));
          call.end();
        } else if (packet.type === PACKET.req) {
          const id = packet.ID ?? 0;
          await call.write(encode(Packet, { type: PACKET.data, ID: id, data: Buffer.from(contents[id] ?? '') }));
          await call.write(encode(Packet, { type: PACKET.data, ID: id }));
        }
      }
    })();
    try {
      await call.done;
      await answering;
    } finally {
      answering.catch(() => undefined);
      close();
    }
  }
  const end: PbPacket = { type: PACKET.stat };

  it.each([false, true])('puts everything in its place (portable: %s)', async (portable) => {
    write({ 'd/old': 'old', file: 'was a file', mine: 'stays' }, 'to');
    mkdirSync(join(root, 'to/a'));
    await receive(
      [
        stat('a', { size: 3n, mode: 0o755 }),
        directoryStat('d'),
        stat('d/empty'),
        stat('d/inside', { size: 2n }),
        directoryStat('file'),
        stat('hard', { linkname: Buffer.from('a'), mode: 0o755 }),
        stat('link', { mode: 2 ** 27 + 0o777, linkname: Buffer.from('a') }),
        end,
      ],
      { 0: 'aaa', 3: 'in' },
      { portable },
    );
    const to = (path: string): string => join(root, 'to', path);
    expect(readFileSync(to('a'), 'utf8')).toBe('aaa');
    expect(readFileSync(to('d/inside'), 'utf8')).toBe('in');
    expect(readFileSync(to('link'), 'utf8')).toBe('aaa');
    expect(readFileSync(to('mine'), 'utf8')).toBe('stays');
    expect(execFileSync('stat', ['-c', '%a %Y %h', to('a'), to('d'), to('d/empty')], { encoding: 'utf8' })).toBe(
      '755 1600000000 2\n750 1600000000 2\n644 1600000000 1\n',
    );
    expect(execFileSync('ls', ['-A', join(root, 'to')], { encoding: 'utf8' })).toBe('a\nd\nfile\nhard\nlink\nmine\n');
    await receive([directoryStat('d'), end], {}, { removeOthers: true, portable });
    expect(execFileSync('find', ['.'], { encoding: 'utf8', cwd: join(root, 'to') })).toBe('.\n./d\n');
  });

  it.each<[string, readonly PbPacket[], RegExp]>([
    ['a path that leads out', [stat('../x'), end], /sent the path "\.\.\/x"/],
    ['an absolute path', [stat('/etc/x'), end], /sent the path/],
    ['a path twice', [stat('x'), stat('x'), end], /after "x"/],
    ['paths out of order', [stat('b'), stat('a'), end], /the path "a" after "b"/],
    [
      'bytes that nobody asked for',
      [stat('a'), { type: PACKET.data, ID: 7, data: Buffer.from('x') }, end],
      /bytes of file 7/,
    ],
    ['more bytes than said', [stat('a', { size: 1n }), end], /a has 5 bytes instead of 1/],
    ['an error', [stat('a', { size: 1n }), { type: PACKET.err, data: Buffer.from('disk is gone') }], /disk is gone/],
  ])('refuses %s', async (_name, packets, message) => {
    await expect(receive(packets, { 0: 'xxxxx' })).rejects.toThrow(message);
    expect(execFileSync('find', [join(root, 'to'), '-mindepth', '1'], { encoding: 'utf8' })).toBe('');
  });

  it.each([false, true])('follows no link that lies in the destination (portable: %s)', async (portable) => {
    const outside = write({ victim: 'untouched' }, 'outside');
    mkdirSync(join(root, 'to'));
    symlinkSync(outside, join(root, 'to/d'));
    await receive([directoryStat('d'), stat('d/victim', { size: 4n }), end], { 1: 'evil' }, { portable });
    expect(readFileSync(join(outside, 'victim'), 'utf8')).toBe('untouched');
    expect(readFileSync(join(root, 'to/d/victim'), 'utf8')).toBe('evil');
  });

  it('shows nothing of a transfer that is cut short', async () => {
    chmodSync(write({ keep: 'mine' }, 'to'), 0o755);
    utimesSync(join(root, 'to/keep'), 1, 1);
    const packets = [
      stat('a', { size: 3n }),
      stat('keep', { size: 3n }),
      { type: PACKET.err, data: Buffer.from('cut') },
    ];
    await expect(receive(packets, { 0: 'aaa' })).rejects.toThrow(/cut/);
    expect(existsSync(join(root, 'to/a'))).toBe(false);
    expect(readFileSync(join(root, 'to/keep'), 'utf8')).toBe('mine');
  });
});
