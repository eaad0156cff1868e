import type { Socket } from 'node:net';
import { decode } from '../../llb/index.ts';
import { BytesMessage } from '../gen/control.ts';
import { socketPair } from '../transport/socket-pair.ts';
import type { Call } from './client.ts';

/** The bytes of one `BytesMessage` field without copying them: tag and length of field 1. */
export function bytesMessagePrefix(length: number): Uint8Array {
  const prefix = [0x0a];
  let rest = length;
  for (; rest > 0x7f; rest >>>= 7) prefix.push((rest & 0x7f) | 0x80);
  prefix.push(rest);
  return Uint8Array.from(prefix);
}

/** A stream of `BytesMessage` in both directions, as a socket: BuildKit's `Control.Session` carries HTTP/2 so. */
export async function socketOfCall(call: Call): Promise<Socket> {
  const [near, far] = await socketPair();
  const end = (): void => {
    call.cancel();
    far.destroy();
  };
  far.on('error', end);
  far.on('close', end);
  const outward = async (): Promise<void> => {
    for await (const chunk of far) {
      const data = chunk as Buffer;
      await call.write(bytesMessagePrefix(data.length), data);
    }
    call.end();
  };
  const inward = async (): Promise<void> => {
    for await (const message of call.incoming) {
      const { data } = decode(BytesMessage, message);
      if (data !== undefined && data.length > 0 && !far.write(data)) {
        await new Promise<void>((resolve) => {
          far.once('drain', resolve);
          far.once('close', resolve);
        });
      }
    }
    far.end();
  };
  // How the call ended is heard by whoever waits for it; the socket ends with it.
  outward().catch(end);
  inward().catch(end);
  return near;
}
