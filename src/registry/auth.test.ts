import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { randomBytes } from 'node:crypto';
import { writeLayout } from '../../test/support/base-image.ts';
import { startRegistry } from '../../test/support/registry.ts';
import type { TestRegistry } from '../../test/support/registry.ts';
import { createRegistry } from './index.ts';
import type { Registry } from './index.ts';
import { startFront } from './testing/servers.ts';
import type { TestServer } from './testing/servers.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-auth-'));
let real: TestRegistry;
const open: { close(): Promise<void> }[] = [];

beforeAll(async () => {
  real = await startRegistry(join(dir, 'registry'));
  real.push(`${writeLayout(join(dir, 'layout'), [randomBytes(1000)], {})}:latest`, 'small');
});
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});
afterAll(async () => {
  await real.stop();
  rmSync(dir, { recursive: true });
});

const failure = (promise: Promise<unknown>): Promise<unknown> =>
  promise.then(
    () => 'no error',
    (e: unknown) => e,
  );

function client(auths: Record<string, unknown> = {}, insecure: string[] = []): Registry {
  const home = mkdtempSync(join(dir, 'config-'));
  writeFileSync(join(home, 'config.json'), JSON.stringify({ auths }));
  const registry = createRegistry({ env: { DOCKER_CONFIG: home }, limits: { backoff: 1, retries: 1 }, insecure });
  open.push(registry);
  return registry;
}

const basic = (text: string): { auth: string } => ({ auth: Buffer.from(text).toString('base64') });

/** A token server (distribution's token.md and oauth.md) that knows alice, and the front of a registry that trusts it. */
async function protectedRegistry(
  options: { readonly life?: number; readonly anonymous?: boolean; readonly expireAfter?: number } = {},
): Promise<{ front: TestServer; tokens: TestServer; issued: string[] }> {
  const issued: string[] = [];
  const issue = (response: ServerResponse, who: string, scopes: readonly string[]): void => {
    const token = Buffer.from(JSON.stringify({ who, scopes, n: issued.length })).toString('base64url');
    issued.push(`${who} ${scopes.join(' ')}`);
    response.end(JSON.stringify({ token, expires_in: options.life ?? 300 }));
  };
  const tokens = await startFront((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    if (request.method === 'POST') {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        const form = new URLSearchParams(Buffer.concat(parts).toString());
        if (form.get('refresh_token') === 'refresh') issue(response, 'token', (form.get('scope') ?? '').split(' '));
        else response.writeHead(401).end();
      });
      return;
    }
    const who = whoIs(request);
    if (who === undefined && options.anonymous !== true) response.writeHead(401).end('{"details":"who are you"}');
    else if (who === 'wrong')
      response
        .writeHead(401)
        .end(JSON.stringify({ errors: [{ code: 'UNAUTHORIZED', message: 'incorrect username or password' }] }));
    else issue(response, who ?? 'anonymous', url.searchParams.getAll('scope'));
  });
  let uses = 0;
  const front = await startFront((request, response, pass) => {
    const token = /^Bearer (.+)$/.exec(request.headers.authorization ?? '')?.[1];
    const path = /^\/v2\/(.+)\/(manifests|blobs)\//.exec(request.url ?? '')?.[1] ?? '';
    const scope = `repository:${path}:${request.method === 'GET' || request.method === 'HEAD' ? 'pull' : 'pull,push'}`;
    const grant =
      token === undefined
        ? undefined
        : (JSON.parse(Buffer.from(token, 'base64url').toString()) as { scopes: string[]; n: number });
    const fresh =
      grant !== undefined && (options.expireAfter === undefined || grant.n > 0 || uses++ < options.expireAfter);
    if (fresh && grant.scopes.some((granted) => granted === scope || granted === `repository:${path}:pull,push`))
      pass();
    else {
      const challenge = `Bearer realm="http://${tokens.host}/token",service="test",scope="${scope}"`;
      response
        .writeHead(401, { 'www-authenticate': challenge })
        .end('{"errors":[{"code":"UNAUTHORIZED","message":"authentication required"}]}');
    }
  }, real.host);
  open.push(tokens, front);
  return { front, tokens, issued };
}

function whoIs(request: IncomingMessage): string | undefined {
  const header = /^Basic (.+)$/.exec(request.headers.authorization ?? '')?.[1];
  if (header === undefined) return undefined;
  return Buffer.from(header, 'base64').toString() === 'alice:secret' ? 'alice' : 'wrong';
}

describe('tokens', () => {
  it('are fetched anonymously, once a scope', async () => {
    const { front, issued } = await protectedRegistry({ anonymous: true });
    const registry = client();
    await registry.resolve(`${front.host}/library/small`, 'latest');
    await registry.fetchManifest(`${front.host}/library/small`, 'latest');
    expect(issued).toEqual(['anonymous repository:library/small:pull']);
    // The challenge is known now: the second request carries its token at once.
    expect(front.requests).toHaveLength(3);
  });

  it('are fetched with the password of the user, for pushing too', async () => {
    const { front, issued } = await protectedRegistry();
    const registry = client({ [front.host]: basic('alice:secret') });
    const data = randomBytes(100_000);
    const { createHash } = await import('node:crypto');
    const digest = `sha256:${createHash('sha256').update(data).digest('hex')}` as const;
    const source = {
      digest,
      size: data.length,
      async *open() {
        yield data;
      },
    };
    expect(await registry.pushBlob(`${front.host}/alice/x`, source)).toBe('pushed');
    expect(await registry.pushBlob(`${front.host}/alice/y`, source, { mountFrom: [`${front.host}/alice/x`] })).toBe(
      'mounted',
    );
    expect(issued).toEqual([
      'alice repository:alice/x:pull,push',
      'alice repository:alice/y:pull,push',
      'alice repository:alice/y:pull,push repository:alice/x:pull',
    ]);
  });

  it('are fetched with an identity token', async () => {
    const { front, issued } = await protectedRegistry();
    await client({ [front.host]: { identitytoken: 'refresh' } }).resolve(`${front.host}/library/small`, 'latest');
    expect(issued).toEqual(['token repository:library/small:pull']);
  });

  it('are fetched again when one is refused before its time', async () => {
    const { front, issued } = await protectedRegistry({ anonymous: true, expireAfter: 1 });
    const registry = client();
    await registry.resolve(`${front.host}/library/small`, 'latest');
    await registry.resolve(`${front.host}/library/small`, 'latest');
    expect(issued).toHaveLength(2);
  });

  it('are refused to a wrong password, with what the server said', async () => {
    const { front } = await protectedRegistry();
    const registry = client({ [front.host]: basic('alice:wrong') });
    expect(await failure(registry.fetchManifest(`${front.host}/library/small`, 'latest'))).toMatchObject({
      code: 'auth',
      detail: ['UNAUTHORIZED: incorrect username or password'],
      hint: expect.stringContaining('slipway login') as string,
    });
  });

  it('are refused to the anonymous', async () => {
    const { front } = await protectedRegistry();
    expect(await failure(client().resolve(`${front.host}/library/small`, 'latest'))).toMatchObject({ code: 'auth' });
  });

  it('are not asked for in plain http by a host that is not on loopback', async () => {
    // The registry speaks plain http itself here, so an unencrypted token server is as good; an https one asks for more.
    const registry = client();
    const front = await startFront((_, response) =>
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="ftp://x/token"' }).end(),
    );
    open.push(front);
    expect(await failure(registry.resolve(`${front.host}/x`, 'latest'))).toMatchObject({ code: 'hostile' });
  });

  it.each(['not json', '{}', '{"token":""}', '{"token":"a\\r\\nX-Evil: 1"}', '{"token":7}', 'null'])(
    'that are none: %s',
    async (answer) => {
      const tokens = await startFront((_, response) => response.end(answer));
      const front = await startFront((_, response) =>
        response.writeHead(401, { 'www-authenticate': `Bearer realm="http://${tokens.host}/"` }).end(),
      );
      open.push(tokens, front);
      expect(await failure(client().resolve(`${front.host}/x`, 'latest'))).toMatchObject({ code: 'hostile' });
    },
  );
});

describe('passwords', () => {
  async function basicRegistry(): Promise<TestServer> {
    const front = await startFront((request, response, pass) => {
      if (whoIs(request) === 'alice') pass();
      else
        response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end('{"errors":[{"code":"UNAUTHORIZED"}]}');
    }, real.host);
    open.push(front);
    return front;
  }

  it('are sent where they are asked for', async () => {
    const front = await basicRegistry();
    const registry = client({ [front.host]: basic('alice:secret') });
    expect(await registry.resolve(`${front.host}/library/small`, 'latest')).toMatchObject({
      size: expect.any(Number) as number,
    });
  });

  it.each([
    ['none', {}, 'without a login'],
    ['a wrong one', { password: 'wrong' }, 'with the credentials it was given'],
  ])('%s', async (_, { password }: { password?: string }, message) => {
    const front = await basicRegistry();
    const auths = password === undefined ? {} : { [front.host]: basic(`alice:${password}`) };
    expect(await failure(client(auths).fetchManifest(`${front.host}/library/small`, 'latest'))).toMatchObject({
      code: 'auth',
      message: expect.stringContaining(message) as string,
    });
  });

  it('are not needed for what is public, though the helper that has them is missing', async () => {
    const home = mkdtempSync(join(dir, 'config-'));
    writeFileSync(join(home, 'config.json'), JSON.stringify({ credsStore: 'not-installed' }));
    const { front } = await protectedRegistry({ anonymous: true });
    const registry = createRegistry({ env: { DOCKER_CONFIG: home } });
    open.push(registry);
    await registry.resolve(`${front.host}/library/small`, 'latest');
  });

  it('do not follow a redirect to another host', async () => {
    const seen: (string | undefined)[] = [];
    const storage = await startFront((request, response) => {
      seen.push(request.headers.authorization);
      response.end('x');
    });
    const front = await startFront((request, response) => {
      if (whoIs(request) !== 'alice') response.writeHead(401, { 'www-authenticate': 'Basic realm="x"' }).end();
      else response.writeHead(307, { location: `http://${storage.host}/blob` }).end();
    });
    open.push(storage, front);
    const registry = client({ [front.host]: basic('alice:secret') });
    const digest = 'sha256:2d711642b726b04401627ca9fbac32f5c8530fb1903cc4db02258717921a4881';
    for await (const part of registry.fetchBlob(`${front.host}/x`, { digest, size: 1 })) expect(part).toHaveLength(1);
    expect(seen).toEqual([undefined]);
  });
});
