import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { createHash } from 'node:crypto';
import { createServer } from 'node:http';
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { withSink } from '../sink.ts';
import { daemonSink, findImageDaemon } from './index.ts';

let dir = '';
const servers: Server[] = [];
beforeEach(() => (dir = mkdtempSync(join(tmpdir(), 'slipway-load-'))));
afterEach(async () => {
  for (const server of servers.splice(0)) {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  }
  rmSync(dir, { recursive: true });
});

/** A daemon on a socket; what it got of each archive. */
async function daemon(
  name: string,
  load: (body: IncomingMessage, answer: ServerResponse) => Promise<void>,
): Promise<string> {
  const server = createServer((request, response) => {
    if (request.url === '/_ping') response.end('OK');
    else if (request.method === 'POST' && request.url === '/images/load?quiet=1') void load(request, response);
    else response.writeHead(404).end();
  });
  servers.push(server);
  const path = join(dir, name);
  await new Promise<void>((resolve) => server.listen(path, resolve));
  return path;
}

async function load(env: Record<string, string>, size = 10, signal = new AbortController().signal): Promise<void> {
  const sink = daemonSink(await findImageDaemon(env), signal);
  await withSink(sink, async () => {
    for (let i = 0; i < size; i++) await sink.write(Buffer.alloc(1 << 16, i));
  });
}

async function bytesOf(body: IncomingMessage): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for await (const chunk of body as AsyncIterable<Buffer>) chunks.push(chunk);
  return Buffer.concat(chunks);
}

describe('over the API', () => {
  test('sends what was written, and heeds the answer', async () => {
    const got: Buffer[] = [];
    const path = await daemon('docker.sock', async (body, answer) => {
      got.push(await bytesOf(body));
      answer.end('{"stream":"Loaded image: x:latest\\n"}\n');
    });
    await load({ DOCKER_HOST: `unix://${path}` });
    expect(got.map(({ length }) => length)).toEqual([10 << 16]);
    expect(got[0]?.at(-1)).toBe(9);
  });

  test.each([
    [
      'an error in the stream',
      200,
      '{"stream":"x"}\n{"errorDetail":{"message":"no space left"},"error":"no space left"}\n',
      'no space left',
    ],
    ['an error as answer', 500, '{"message":"archive is broken"}\n', 'archive is broken'],
    ['an answer of another kind', 502, 'Bad Gateway', 'status 502'],
  ])('fails with its own words: %s', async (_, status, body, said) => {
    const path = await daemon('docker.sock', async (request, answer) => {
      await bytesOf(request);
      answer.writeHead(status).end(body);
    });
    await expect(load({ DOCKER_HOST: `unix://${path}` })).rejects.toMatchObject({
      code: 'export',
      message: `unix://${path} did not take the image: ${said}`,
    });
  });

  test('fails with its own words although it does not listen to the end', async () => {
    const path = await daemon('docker.sock', async (request, answer) => {
      answer.writeHead(400).end('{"message":"enough"}');
      request.destroy();
    });
    await expect(load({ DOCKER_HOST: `unix://${path}` }, 2000)).rejects.toMatchObject({
      code: 'export',
      message: expect.stringMatching(/did not take the image: enough|cannot reach Docker/) as string,
    });
  });

  test('ends when it is stopped', async () => {
    const stop = new AbortController();
    const path = await daemon('docker.sock', async (request) => {
      request.resume();
      setTimeout(() => stop.abort(), 10);
    });
    await expect(load({ DOCKER_HOST: `unix://${path}` }, 1, stop.signal)).rejects.toMatchObject({ code: 'cancelled' });
  });
});

describe('which daemon', () => {
  const ok = async (name: string): Promise<string> => await daemon(name, async (_, answer) => void answer.end('{}'));

  test('DOCKER_HOST before all others', async () => {
    const path = await ok('one.sock');
    await expect(findImageDaemon({ DOCKER_HOST: `unix://${path}`, XDG_RUNTIME_DIR: dir })).resolves.toMatchObject({
      address: { what: `unix://${path}` },
    });
  });

  test('the context that docker uses', async () => {
    const path = await ok('context.sock');
    const meta = join(dir, 'contexts/meta', createHash('sha256').update('mine').digest('hex'));
    mkdirSync(meta, { recursive: true });
    writeFileSync(join(meta, 'meta.json'), JSON.stringify({ Endpoints: { docker: { Host: `unix://${path}` } } }));
    writeFileSync(join(dir, 'config.json'), '{"currentContext":"mine"}');
    await expect(findImageDaemon({ DOCKER_CONFIG: dir })).resolves.toMatchObject({
      address: { what: `unix://${path}` },
    });
    // Docker itself finds the way to others.
    writeFileSync(join(meta, 'meta.json'), '{"Endpoints":{"docker":{"Host":"ssh://me@there"}}}');
    await expect(findImageDaemon({ DOCKER_CONFIG: dir })).resolves.toEqual({
      kind: 'program',
      command: 'docker',
      args: ['load'],
    });
    await expect(findImageDaemon({ DOCKER_HOST: 'ssh://me@there' })).resolves.toMatchObject({ command: 'docker' });
  });

  test('a socket that answers, before one that does not', async () => {
    // Left behind by a daemon that was killed.
    writeFileSync(join(dir, 'docker.sock'), '');
    mkdirSync(join(dir, 'podman'));
    const path = await ok('podman/podman.sock');
    const env = { XDG_RUNTIME_DIR: dir, HOME: dir, DOCKER_CONFIG: dir };
    const found = await findImageDaemon(env);
    // A daemon of this machine comes first where there is one.
    expect(found.kind === 'api' ? found.address.what : '').toMatch(new RegExp(`^unix://(${path}|/(var/)?run/.*)$`));
  });

  test.each([
    ['unix:///nonexistent/docker.sock', 'export', 'there is no such socket'],
    ['tcp://127.0.0.1:1', 'export', 'nobody listens there'],
    ['banana', 'usage', 'names no Docker daemon'],
  ])('says what is wrong with DOCKER_HOST=%s', async (host, code, said) => {
    await expect(findImageDaemon({ DOCKER_HOST: host })).rejects.toMatchObject({
      code,
      message: expect.stringContaining(said) as string,
    });
  });
});
