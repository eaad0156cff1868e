import { randomBytes } from 'node:crypto';
import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { decode, encode } from '../../llb/index.ts';
import { BytesMessage, HealthCheckRequest, HealthCheckResponse } from '../gen/session.ts';
import { socketPair } from '../transport/socket-pair.ts';
import { bytesMessagePrefix, socketOfCall } from './call-stream.ts';
import { createChannel, type Channel } from './client.ts';
import { MESSAGE_MAX, messagePrefix, MessageReader } from './frames.ts';
import { serve, unary, type GrpcServer, type Handler } from './server.ts';
import { decodeGrpcMessage, encodeGrpcMessage, GrpcError, STATUS } from './status.ts';

const ECHO = { path: '/test.Echo/Unary', request: HealthCheckRequest, response: HealthCheckRequest };
const open: { close(): void }[] = [];
afterEach(() => {
  for (const end of open.splice(0)) end.close();
});

async function connected(
  services: readonly (readonly [string, Handler])[],
): Promise<{ channel: Channel; server: GrpcServer; cut: () => void }> {
  const [near, far] = await socketPair();
  const server = serve(far, new Map(services));
  const channel = createChannel(near);
  open.push(channel, server);
  return { channel, server, cut: () => near.destroy() };
}

describe('messages in a stream of bytes', () => {
  it('are the same however the bytes are cut', () => {
    fc.assert(
      fc.property(
        fc.array(fc.uint8Array({ maxLength: 50 })),
        fc.array(fc.integer({ min: 1, max: 9 })),
        (messages, cuts) => {
          const all = Buffer.concat(messages.flatMap((message) => [messagePrefix(message.length), message]));
          const reader = new MessageReader();
          const found: Uint8Array[] = [];
          for (let at = 0, i = 0; at < all.length; i++) {
            const size = cuts[i % Math.max(cuts.length, 1)] ?? 3;
            found.push(...reader.push(all.subarray(at, at + size)));
            at += size;
          }
          expect(found.map((message) => Buffer.from(message))).toEqual(messages.map((message) => Buffer.from(message)));
          expect(reader.isBetweenMessages).toBe(true);
        },
      ),
    );
  });

  it('that are too large or compressed are refused before they are held', () => {
    expect(() => new MessageReader().push(Buffer.from(messagePrefix(MESSAGE_MAX + 1)))).toThrow(/too large/);
    expect(() => new MessageReader().push(Buffer.from([1, 0, 0, 0, 0]))).toThrow(/compressed/);
  });

  it('the text of a status survives whatever it is', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => decodeGrpcMessage(encodeGrpcMessage(text)) === text),
    );
    expect(encodeGrpcMessage('a%b\nü')).toBe('a%25b%0A%C3%BC');
  });
});

describe('calls', () => {
  it('are answered', async () => {
    const { channel } = await connected([unary(ECHO, async (request) => await Promise.resolve(request))]);
    expect(await channel.unary(ECHO, { service: 'hello' })).toEqual({ service: 'hello' });
  });

  it('fail with the status of the other side, or for lack of a method', async () => {
    const refuse = unary(ECHO, async () => await Promise.reject(new GrpcError(STATUS.notFound, 'naïve: 100%')));
    const { channel } = await connected([refuse]);
    await expect(channel.unary(ECHO, {})).rejects.toMatchObject({ code: STATUS.notFound, message: 'naïve: 100%' });
    const other = { ...ECHO, path: '/test.Echo/Other' };
    await expect(channel.unary(other, {})).rejects.toMatchObject({ code: STATUS.unimplemented });
  });

  it('carry metadata of several values, commas in them', async () => {
    let seen: readonly string[] = [];
    const { channel } = await connected([
      unary(ECHO, async (request, call) => {
        seen = call.metadata('patterns');
        return await Promise.resolve(request);
      }),
    ]);
    await channel.unary(ECHO, {}, { metadata: { patterns: ['a,b', 'c', '', 'd e'] } });
    expect(seen).toEqual(['a,b', 'c', '', 'd e']);
  });

  it('take more values than headers are commonly allowed', async () => {
    let count = 0;
    const { channel } = await connected([
      unary(ECHO, async (request, call) => {
        count = call.metadata('patterns').length;
        return await Promise.resolve(request);
      }),
    ]);
    const patterns = Array.from({ length: 2000 }, (_, i) => `p${i}`);
    await channel.unary(ECHO, {}, { metadata: { patterns } });
    expect(count).toBe(2000);
  });

  it('end when they are cancelled, late, or their connection goes', async () => {
    let aborted = 0;
    const hang = unary(ECHO, async (_request, call) => {
      await new Promise<void>((resolve) => call.signal.addEventListener('abort', () => resolve()));
      aborted++;
      return {};
    });
    const { channel, cut } = await connected([hang]);
    const abort = new AbortController();
    const cancelled = channel.unary(ECHO, {}, { signal: abort.signal });
    setTimeout(() => abort.abort(), 20);
    await expect(cancelled).rejects.toMatchObject({ code: STATUS.cancelled });
    await expect(channel.unary(ECHO, {}, { timeout: 20 })).rejects.toMatchObject({ code: STATUS.deadlineExceeded });
    const lost = channel.unary(ECHO, {});
    setTimeout(cut, 20);
    await expect(lost).rejects.toMatchObject({ code: STATUS.unavailable });
    await expect(channel.unary(ECHO, {})).rejects.toMatchObject({ code: STATUS.unavailable });
    await channel.closed;
    expect(aborted).toBeGreaterThanOrEqual(2);
  });

  it('end with their status while the caller still has its side open', async () => {
    const { channel } = await connected([
      ['/test.Echo/Refuse', async () => await Promise.reject(new GrpcError(STATUS.notFound, 'not here'))],
      ['/test.Echo/Enough', async (call) => await call.write(Buffer.from('last'))],
      [
        '/test.Echo/Many',
        async (call) => {
          for (let i = 0; i < 500; i++) await call.write(Buffer.alloc(1000, i));
          throw new GrpcError(STATUS.unknown, 'then it broke');
        },
      ],
    ]);
    const refused = channel.open('/test.Echo/Refuse');
    await expect(refused.done).rejects.toMatchObject({ code: STATUS.notFound, message: 'not here' });
    // More is written than the other side will ever take.
    const flooded = channel.open('/test.Echo/Refuse');
    const flood = (async () => {
      for (let i = 0; i < 100; i++) await flooded.write(Buffer.alloc(1 << 16));
    })();
    await expect(flooded.done).rejects.toMatchObject({ code: STATUS.notFound });
    await flood;
    const enough = channel.open('/test.Echo/Enough');
    expect(Buffer.from((await enough.incoming.next()) ?? []).toString()).toBe('last');
    await enough.done;
    // What came before the status is read, by a slow reader too.
    const many = channel.open('/test.Echo/Many');
    await new Promise((resolve) => setTimeout(resolve, 50));
    let count = 0;
    const reading = (async () => {
      for await (const message of many.incoming) if (message.length === 1000) count++;
    })();
    await expect(reading).rejects.toMatchObject({ message: 'then it broke' });
    expect(count).toBe(500);
  });

  it('stream both ways, held back by a slow reader', async () => {
    const pieces = Array.from({ length: 300 }, () => randomBytes(20_000));
    let written = 0;
    const { channel } = await connected([
      [
        '/test.Echo/Stream',
        async (call) => {
          for await (const message of call.incoming) await call.write(message.subarray(0, 5), message.subarray(5));
        },
      ],
    ]);
    const call = channel.open('/test.Echo/Stream');
    const writing = (async () => {
      for (const piece of pieces) {
        await call.write(piece);
        written++;
      }
      call.end();
    })();
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(written).toBeLessThan(pieces.length);
    const back: Buffer[] = [];
    for await (const message of call.incoming) back.push(Buffer.from(message));
    await writing;
    await call.done;
    expect(Buffer.concat(back).equals(Buffer.concat(pieces))).toBe(true);
  });
});

it('a session runs over a call, as in Control.Session', async () => {
  // The outer server hands the call's bytes to a client: what a daemon does.
  const inner = unary(
    { path: '/grpc.health.v1.Health/Check', request: HealthCheckRequest, response: HealthCheckResponse },
    async () => await Promise.resolve({ status: 1 }),
  );
  const answered = Promise.withResolvers<number | undefined>();
  const { channel } = await connected([
    [
      '/session',
      async (call) => {
        const [near, far] = await socketPair();
        far.on('data', (data: Buffer) => void call.write(bytesMessagePrefix(data.length), data));
        const client = createChannel(near);
        void client
          .unary({ path: inner[0], request: HealthCheckRequest, response: HealthCheckResponse }, {})
          .then(({ status }) => answered.resolve(status), answered.reject);
        for await (const message of call.incoming) far.write(decode(BytesMessage, message).data ?? new Uint8Array());
        client.close();
      },
    ],
  ]);
  const server = serve(await socketOfCall(channel.open('/session')), new Map([inner]));
  expect(await answered.promise).toBe(1);
  server.close();
  await server.closed;
});

it('the prefix of bytes is what the codec would write', () => {
  for (const length of [1, 127, 128, 16384, 70_000]) {
    const data = new Uint8Array(length).fill(7);
    expect(Buffer.concat([bytesMessagePrefix(length), data]).equals(Buffer.from(encode(BytesMessage, { data })))).toBe(
      true,
    );
  }
});
