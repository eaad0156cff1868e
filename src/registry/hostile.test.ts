/** Answers of registries that are out for harm, or broken beyond use. */
import { createHash } from 'node:crypto';
import { afterEach, describe, expect, it } from 'vitest';
import { createRegistry } from './index.ts';
import type { Registry } from './index.ts';
import { startFront } from './testing/servers.ts';
import type { Handler, TestServer } from './testing/servers.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

async function front(handler: Handler): Promise<TestServer> {
  const server = await startFront(handler);
  open.push(server);
  return server;
}
function client(insecure: string[] = []): Registry {
  const registry = createRegistry({
    env: { HOME: '/nonexistent' },
    limits: { backoff: 1, retries: 1, idle: 500 },
    insecure,
  });
  open.push(registry);
  return registry;
}
const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const digest = `sha256:${'a'.repeat(64)}`;
const descriptor = { mediaType: 'x', digest, size: 1 };

async function fetchAs(body: string, type: string = MANIFEST, reference = 'latest'): Promise<unknown> {
  const server = await front((_, response) => response.writeHead(200, { 'content-type': type }).end(body));
  return failure(client().fetchManifest(`${server.host}/x`, reference));
}

describe('manifests', () => {
  const good = { schemaVersion: 2, mediaType: MANIFEST, config: descriptor, layers: [descriptor] };
  it.each([
    ['no JSON', '<html>', 'hostile'],
    ['both kinds at once (CVE-2021-41190)', JSON.stringify({ ...good, manifests: [descriptor] }), 'hostile'],
    [
      'a digest that is a path',
      JSON.stringify({ ...good, layers: [{ ...descriptor, digest: '../../etc/passwd' }] }),
      'hostile',
    ],
    [
      'another algorithm',
      JSON.stringify({ ...good, layers: [{ ...descriptor, digest: `md5:${'a'.repeat(32)}` }] }),
      'hostile',
    ],
    ['a negative size', JSON.stringify({ ...good, layers: [{ ...descriptor, size: -1 }] }), 'hostile'],
    ['a size that is no number', JSON.stringify({ ...good, layers: [{ ...descriptor, size: '1' }] }), 'hostile'],
    ['no config', JSON.stringify({ ...good, config: undefined }), 'hostile'],
    ['schema 1', JSON.stringify({ schemaVersion: 1, fsLayers: [] }), 'unsupported'],
    ['null', 'null', 'hostile'],
    ['an array', '[]', 'hostile'],
  ])('%s', async (_, body, code) => {
    expect(await fetchAs(body)).toMatchObject({ code });
  });

  it('that are not what the digest asked for says', async () => {
    expect(await fetchAs(JSON.stringify(good), MANIFEST, digest)).toMatchObject({ code: 'digest-mismatch' });
  });

  it('that are served as another kind than they say', async () => {
    expect(await fetchAs(JSON.stringify(good), 'application/vnd.oci.image.index.v1+json')).toMatchObject({
      code: 'hostile',
    });
  });

  it('without end are not read to it', async () => {
    let sent = 0;
    const server = await front((_, response) => {
      response.writeHead(200, { 'content-type': MANIFEST });
      const more = (): void => {
        while (!response.destroyed && sent < 64 * 1024 * 1024) {
          sent += 65536;
          if (!response.write(Buffer.alloc(65536, ' '))) {
            response.once('drain', more);
            return;
          }
        }
      };
      more();
    });
    expect(await failure(client().fetchManifest(`${server.host}/x`, 'latest'))).toMatchObject({
      code: 'hostile',
      message: expect.stringContaining('larger than 4 MiB') as string,
    });
    expect(sent).toBeLessThan(32 * 1024 * 1024);
  });
});

describe('redirects', () => {
  const empty = { digest: `sha256:${createHash('sha256').digest('hex')}`, size: 0 } as const;
  async function blobVia(location: string): Promise<unknown> {
    const server = await front((_, response) => response.writeHead(307, { location }).end());
    const read = async (): Promise<void> => {
      for await (const part of client().fetchBlob(`${server.host}/x`, empty)) expect(part).toBeDefined();
    };
    return failure(read());
  }

  it.each(['file:///etc/passwd', 'ftp://x/', 'data:text/plain,x', 'http://[bad'])('to %s', async (location) => {
    expect(await blobVia(location)).toMatchObject({ code: 'hostile' });
  });

  it('in a circle', async () => {
    expect(await blobVia('/v2/x/blobs/again')).toMatchObject({ code: 'hostile' });
  });

  it('without a target are an answer nobody expects', async () => {
    const server = await front((_, response) => response.writeHead(302).end());
    expect(await failure(client().resolve(`${server.host}/x`, 'latest'))).toMatchObject({ code: 'registry' });
  });
});

describe('uploads', () => {
  const source = {
    digest: digest as `sha256:${string}`,
    size: 1,
    async *open() {
      yield Buffer.from('x');
    },
  };

  it.each(['file:///tmp/x', '', undefined, 'http://[bad'])('to %s', async (location) => {
    const server = await front((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else response.writeHead(202, location === undefined ? {} : { location }).end();
    });
    const error = await failure(client().pushBlob(`${server.host}/x`, source));
    // An empty Location is the URL that was asked: no upload, but no harm either.
    expect(error).toMatchObject({ code: location === '' ? 'registry' : 'hostile' });
  });

  it('get no credentials on another host', async () => {
    const seen: (string | undefined)[] = [];
    const other = await front((request, response) => {
      seen.push(request.headers.authorization);
      request.resume();
      response.writeHead(201).end();
    });
    const server = await front((request, response) => {
      if (request.method === 'HEAD') response.writeHead(404).end();
      else response.writeHead(202, { location: `http://${other.host}/put` }).end();
    });
    const registry = createRegistry({ env: { HOME: '/nonexistent' } });
    open.push(registry);
    expect(await registry.pushBlob(`${server.host}/x`, source)).toBe('pushed');
    expect(seen).toEqual([undefined]);
  });

  it('that come out as another manifest', async () => {
    const server = await front((request, response) => {
      request.resume();
      response.writeHead(201, { 'docker-content-digest': digest }).end();
    });
    const manifest = { mediaType: MANIFEST, bytes: Buffer.from('{}') };
    expect(await failure(client().pushManifest(`${server.host}/x`, 'latest', manifest))).toMatchObject({
      code: 'digest-mismatch',
    });
  });
});

describe('texts', () => {
  it('reach the user without what a terminal would obey', async () => {
    const server = await front((_, response) => {
      const message = `\u001b]0;owned\u0007\u001b[31mred\r\nline \u202e${'x'.repeat(2000)}`;
      response.writeHead(404).end(JSON.stringify({ errors: [{ code: 'A', message }] }));
    });
    const error = (await failure(client().fetchManifest(`${server.host}/x`, 'latest'))) as { detail: string[] };
    expect(error.detail).toHaveLength(1);
    expect(error.detail[0]).not.toMatch(/[\u0000-\u001f\u007f\u202e]/);
    expect(error.detail[0]?.length).toBeLessThan(500);
  });

  it.each(['null', '[]', '{"errors":7}', '{"errors":[null,7,{}]}', '{"errors":{}}', ''])(
    '%j are no errors',
    async (body) => {
      const server = await front((_, response) => response.writeHead(400).end(body));
      expect(await failure(client().fetchManifest(`${server.host}/x`, 'latest'))).toMatchObject({ code: 'registry' });
    },
  );
});

describe('plain http', () => {
  it('is not spoken to a host that is not on loopback, unless it is said', async () => {
    const { createServer } = await import('node:http');
    const { listen } = await import('./testing/servers.ts');
    const { networkInterfaces } = await import('node:os');
    const outer = Object.values(networkInterfaces())
      .flat()
      .find((address) => address?.family === 'IPv4' && !address.internal);
    if (outer === undefined) return; // a machine with loopback only
    const { connect } = await import('node:net');
    const inner = createServer((_, response) => response.writeHead(404).end());
    const host = await listen(inner);
    const { createServer: createTcpServer } = await import('node:net');
    const relay = createTcpServer((socket) => {
      const [hostname, port] = host.split(':');
      const to = connect(Number(port), hostname);
      socket.pipe(to).pipe(socket);
      socket.on('error', () => to.destroy());
      to.on('error', () => socket.destroy());
    });
    await new Promise<void>((resolve) => relay.listen(0, outer.address, () => resolve()));
    const { port } = relay.address() as { port: number };
    const name = `${outer.address}:${port}`;
    expect(await failure(client().resolve(`${name}/x`, 'latest'))).toMatchObject({ code: 'registry' });
    expect(await failure(client([name]).resolve(`${name}/x`, 'latest'))).toMatchObject({ code: 'image-not-found' });
    relay.close();
    inner.close();
    inner.closeAllConnections();
  });
});
