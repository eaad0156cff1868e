/** What refers to an image: registries that list it themselves, and those that do not. */
import { createHash } from 'node:crypto';
import { afterEach, expect, it } from 'vitest';
import { createRegistry } from './index.ts';
import { startFront } from './testing/servers.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const thing of open.splice(0).reverse()) await thing.close();
});

const INDEX = 'application/vnd.oci.image.index.v1+json';
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
const digestOf = (data: Uint8Array | string) => `sha256:${createHash('sha256').update(data).digest('hex')}` as const;
const subject = digestOf('image');
const referrer = {
  mediaType: MANIFEST,
  bytes: Buffer.from(
    JSON.stringify({ schemaVersion: 2, artifactType: 'a/b', subject: { digest: subject }, annotations: { k: 'v' } }),
  ),
};
const entry = (name: string) => ({
  mediaType: MANIFEST,
  digest: digestOf(name),
  size: 1,
  artifactType: `x/${name}`,
  more: name,
});

/** Keeps manifests; lists referrers in pages of one where `lists` is set. */
async function registryThat(lists: boolean, listed: readonly object[] = []) {
  const kept = new Map<string, Buffer>();
  if (!lists && listed.length > 0)
    kept.set(
      subject.replace(':', '-'),
      Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests: listed })),
    );
  const server = await startFront((request, response) => {
    const url = new URL(request.url ?? '', 'http://x');
    const name = url.pathname.split('/').at(-1) ?? '';
    if (url.pathname.includes('/referrers/')) {
      if (!lists) response.writeHead(404).end();
      else {
        const page = Number(url.searchParams.get('page') ?? '0');
        const link = page + 1 < listed.length ? { link: `<${url.pathname}?page=${page + 1}>; rel="next"` } : {};
        const manifests = listed.slice(page, page + 1);
        response
          .writeHead(200, { 'content-type': INDEX, ...link })
          .end(JSON.stringify({ schemaVersion: 2, mediaType: INDEX, manifests }));
      }
      return;
    }
    if (request.method === 'PUT') {
      const parts: Buffer[] = [];
      request.on('data', (part: Buffer) => parts.push(part));
      request.on('end', () => {
        kept.set(name, Buffer.concat(parts));
        response.writeHead(201, lists ? { 'oci-subject': subject } : {}).end();
      });
      return;
    }
    const found = kept.get(name);
    if (found === undefined) response.writeHead(404).end();
    else response.writeHead(200, { 'content-type': INDEX }).end(found);
  });
  const registry = createRegistry({ env: { HOME: '/nonexistent' }, limits: { backoff: 1, retries: 0 } });
  open.push(server, registry);
  return { registry, kept, repository: `${server.host}/x` };
}

it('are asked of the registry, page by page', async () => {
  const { registry, repository } = await registryThat(true, [entry('one'), entry('two')]);
  const { isListed, manifests } = await registry.referrers(repository, subject);
  expect(isListed).toBe(true);
  expect(manifests.map(({ digest }) => digest)).toEqual([digestOf('one'), digestOf('two')]);
});

it('are read from the tag that stands for the list', async () => {
  const { registry, repository } = await registryThat(false, [entry('one')]);
  expect(await registry.referrers(repository, subject)).toMatchObject({
    isListed: false,
    manifests: [{ digest: digestOf('one') }],
  });
  expect((await (await registryThat(false)).registry.referrers(repository, digestOf('other'))).manifests).toEqual([]);
});

it('are pushed by digest and no more where the registry takes note of the subject', async () => {
  const { registry, repository, kept } = await registryThat(true);
  expect(await registry.pushReferrer(repository, referrer)).toBe(digestOf(referrer.bytes));
  expect([...kept.keys()]).toEqual([digestOf(referrer.bytes)]);
});

it('are added to the list under its tag where it does not, and what others put there stays as it is', async () => {
  const { registry, repository, kept } = await registryThat(false, [entry('one')]);
  await registry.pushReferrer(repository, referrer);
  await registry.pushReferrer(repository, referrer);
  const list = JSON.parse(String(kept.get(subject.replace(':', '-')))) as { manifests: unknown[] };
  const own = {
    mediaType: MANIFEST,
    digest: digestOf(referrer.bytes),
    size: referrer.bytes.length,
    artifactType: 'a/b',
    annotations: { k: 'v' },
  };
  expect(list.manifests).toEqual([entry('one'), own]);
});
