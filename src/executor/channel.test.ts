import { Duplex } from 'node:stream';
import { describe, expect, it } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { createChannel, frameReader } from './channel.ts';
import { fromWireError, toWireError } from './wire-error.ts';

/** Two ends of a socket, as streams. */
function pair(): readonly [Duplex, Duplex] {
  const ends: Duplex[] = [];
  const end = (other: () => Duplex | undefined): Duplex =>
    new Duplex({
      read() {},
      write(chunk: Buffer, _encoding, done) {
        other()?.push(chunk);
        done();
      },
      final(done) {
        other()?.push(null);
        done();
      },
    });
  ends[0] = end(() => ends[1]);
  ends[1] = end(() => ends[0]);
  return [ends[0], ends[1]];
}

describe('the channel', () => {
  it('carries messages and output in their order', async () => {
    const [a, b] = pair();
    const got: unknown[] = [];
    const closed = new Promise<void>((resolve) => {
      createChannel<never, { n: number }>(b, {
        onMessage: (message) => got.push(message),
        onOutput: (id, stream, data) => got.push([id, stream, Buffer.from(data).toString()]),
        onClose: resolve,
      });
    });
    const sender = createChannel<{ n: number }, never>(a, { onMessage: () => undefined, onClose: () => undefined });
    sender.send({ n: 1 });
    sender.sendOutput(7, 2, Buffer.from('text'));
    sender.sendOutput(4_000_000_000, 1, Buffer.alloc(0));
    sender.send({ n: 2 });
    sender.end();
    await closed;
    expect(got).toEqual([{ n: 1 }, [7, 2, 'text'], [4_000_000_000, 1, ''], { n: 2 }]);
  });

  it.each([1, 2, 3, 5, 7, 4096])('cuts frames from pieces of %i bytes', (size) => {
    const frame = (kind: number, text: string): Buffer => {
      const bytes = Buffer.from(`....${String.fromCharCode(kind)}${text}`, 'latin1');
      bytes.writeUInt32LE(text.length + 1, 0);
      return bytes;
    };
    const stream = Buffer.concat([frame(0, 'one'), frame(1, ''), frame(0, 'x'.repeat(100))]);
    const got: [number, string][] = [];
    const read = frameReader((kind, payload) => got.push([kind, payload.toString('latin1')]));
    for (let at = 0; at < stream.length; at += size) read(stream.subarray(at, at + size));
    expect(got).toEqual([
      [0, 'one'],
      [1, ''],
      [0, 'x'.repeat(100)],
    ]);
  });
});

describe('errors on the wire', () => {
  it('arrive as they were', () => {
    const error = new BuildError({ code: 'run-failed', message: 'm', hint: 'h', detail: ['d'], exitCode: 3 });
    const back = fromWireError(JSON.parse(JSON.stringify(toWireError(error))) as ReturnType<typeof toWireError>);
    expect(back.toInit()).toMatchObject({ code: 'run-failed', message: 'm', hint: 'h', detail: ['d'], exitCode: 3 });
  });

  it('are internal when they are none of ours', () => {
    const wire = toWireError(new TypeError('x is undefined'));
    expect(wire).toMatchObject({ code: 'internal', message: 'the executor failed: x is undefined' });
    expect(wire.cause).toContain('TypeError');
  });
});
