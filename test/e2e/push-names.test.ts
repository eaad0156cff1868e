/** All names of a push appear, or none does, as far as the registry lets them be taken back. */
import { createServer, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, expect, it } from 'vitest';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
let registry: TestRegistry;
let front: Server;
let host = '';
/** Of the registry that stands in front of the real one. */
let removesTags = true;
const removed: string[] = [];

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  front = createServer((asked, answer) => {
    const { method = '', url = '' } = asked;
    if (method === 'PUT' && url.endsWith('/manifests/refused')) {
      asked.resume();
      const errors = [{ code: 'DENIED', message: 'the tag is protected' }];
      answer.writeHead(403, { 'content-type': 'application/json' }).end(JSON.stringify({ errors }));
      return;
    }
    if (method === 'DELETE') {
      removed.push(url);
      asked.resume();
      answer.writeHead(removesTags ? 202 : 405).end();
      return;
    }
    const [hostname, port] = registry.host.split(':');
    const passed = request({ hostname, port, method, path: url, headers: asked.headers }, (answered) => {
      answer.writeHead(answered.statusCode ?? 500, answered.headers);
      answered.pipe(answer);
    });
    asked.pipe(passed);
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => front.once('listening', resolve));
  host = `127.0.0.1:${(front.address() as AddressInfo).port}`;
});
afterAll(async () => {
  front.close();
  front.closeAllConnections();
  await registry.stop();
  bench.dispose();
});
beforeEach(() => {
  removed.length = 0;
  removesTags = true;
});

const context = (label: string): string => bench.context(label, { Dockerfile: `FROM scratch\nLABEL a=${label}\n` });
const build = async (label: string, ...names: readonly string[]) =>
  await bench.run(['build', '--push', ...names.flatMap((name) => ['-t', name]), context(label)]);
const digestOf = async (path: string, tag: string): Promise<string | null> => {
  const accept = 'application/vnd.oci.image.manifest.v1+json';
  const answer = await fetch(`http://${registry.host}/v2/${path}/manifests/${tag}`, {
    method: 'HEAD',
    headers: { accept },
  });
  return answer.headers.get('docker-content-digest');
};

it('takes back the names that were given when a later one is refused', async () => {
  expect(await build('first', `${host}/app:old`)).toMatchObject({ code: 0 });
  const before = await digestOf('app', 'old');
  expect(before).toMatch(/^sha256:/);
  const result = await build('second', `${host}/app:old`, `${host}/app:new`, `${host}/app:refused`);
  expect(result).toMatchObject({ code: 4, stderr: expect.stringContaining('DENIED: the tag is protected') as string });
  expect(result.stderr).toContain(`${host}/app:old leads to what it led to before`);
  expect(result.stderr).toContain(`${host}/app:new was removed again`);
  expect(await digestOf('app', 'old')).toBe(before);
  expect(removed).toEqual(['/v2/app/manifests/new']);
  expect((await bench.run(['images', '-q', `${host}/app:old`])).stdout).not.toBe('');
  expect((await bench.run(['images', '-q', `${host}/app:refused`])).stdout).toBe('');
});

it('says which name stays where the registry does not let it go', async () => {
  removesTags = false;
  const result = await build('third', `${host}/stays:new`, `${host}/stays:refused`);
  expect(result.code).toBe(4);
  expect(result.stderr).toContain(`${host}/stays:new leads to the new image all the same`);
});

it('does so for other destinations, for slipway push and for indexes', async () => {
  const to = (tag: string): readonly string[] => ['-o', `type=registry,name=${host}/several:${tag}`];
  const several = await bench.run(['build', ...to('one'), ...to('refused'), context('several')]);
  expect(several).toMatchObject({
    code: 4,
    stderr: expect.stringContaining('several:one was removed again') as string,
  });

  const names = ['one', 'refused'].map((tag) => `${host}/pushed:${tag}`);
  const tags = names.flatMap((name) => ['-t', name]);
  expect(await bench.run(['build', ...tags, context('pushed')])).toMatchObject({ code: 0 });
  const pushed = await bench.run(['push', '--all-tags', `${host}/pushed`]);
  expect(pushed.code).toBe(4);
  expect(pushed.stderr).toContain('DENIED');

  expect(await build('part', `${host}/part:1`)).toMatchObject({ code: 0 });
  const index = ['index', 'create', '-t', `${host}/joined:refused`, `${host}/joined:one`, `${host}/part:1`];
  const joined = await bench.run(index);
  expect(joined).toMatchObject({ code: 4, stderr: expect.stringContaining('joined:one was removed again') as string });
});
