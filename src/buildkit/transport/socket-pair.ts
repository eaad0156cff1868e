import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { connect, createServer } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

/**
 * Two ends of one connection. Node's HTTP/2 on a stream that is no socket of the system's ends the process by an assertion
 * when the stream breaks at the wrong moment; so whatever carries HTTP/2 here is a real one.
 */
export async function socketPair(): Promise<readonly [Socket, Socket]> {
  // Nobody else can reach a socket in a directory of our own.
  const directory = process.platform === 'win32' ? undefined : mkdtempSync(join(tmpdir(), 'slipway-'));
  const path =
    directory === undefined ? `\\\\.\\pipe\\slipway-${randomBytes(16).toString('hex')}` : join(directory, 's');
  const server = createServer({ allowHalfOpen: false });
  try {
    const accepted = new Promise<Socket>((resolve, reject) => {
      server.on('connection', resolve);
      server.on('error', reject);
    });
    await new Promise<void>((resolve, reject) => {
      server.on('error', reject);
      server.listen(path, resolve);
    });
    const near = connect(path);
    const far = await accepted;
    return [near, far];
  } finally {
    server.close();
    if (directory !== undefined) rmSync(directory, { recursive: true, force: true });
  }
}
