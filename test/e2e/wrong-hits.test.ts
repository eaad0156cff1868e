/** Wrong hits that other builders have had, each with where it was found. */
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, readLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines } from '../support/engines.ts';

const bench = new Bench();
let base = '';
let server: Server;
let host = '';
const served = new Map<string, string>();

beforeAll(async () => {
  base = `oci-layout://${busyboxLayout(bench.dir)}`;
  server = createServer((request, answer) => {
    const body = served.get(request.url ?? '');
    answer.writeHead(body === undefined ? 404 : 200).end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  host = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
});
afterAll(() => {
  server.close();
  bench.dispose();
});

let outputs = 0;

onBothEngines(bench, (engine) => {
  /** @returns The directory of the result. */
  async function built(context: string, ...args: readonly string[]): Promise<string> {
    const out = join(bench.dir, `out-${outputs++}`);
    const result = await engine.build(['--build-context', `busybox=${base}`, '-o', out, ...args, context]);
    expect(result).toMatchObject({ code: 0 });
    return out;
  }
  const content = async (context: string, path: string, ...args: readonly string[]): Promise<string> =>
    readFileSync(join(await built(context, ...args), path), 'utf8');

  describe('a change is noticed', () => {
    it('of the second source of a COPY (buildkit#853, moby#38964)', async () => {
      const context = bench.context('second', {
        Dockerfile: 'FROM scratch\nCOPY Gemfile Gemfile.lock /\n',
        Gemfile: '1',
        'Gemfile.lock': '1',
      });
      await built(context);
      writeFileSync(join(context, 'Gemfile.lock'), '2');
      expect(await content(context, 'Gemfile.lock')).toBe('2');
    });

    it('of what a URL serves, and of the URL (buildkit#7108)', async () => {
      served.set('/a', 'one').set('/b', 'two');
      const context = bench.context('url', { Dockerfile: `FROM scratch\nADD ${host}/a /file\n` });
      expect(await content(context, 'file')).toBe('one');
      served.set('/a', 'other');
      expect(await content(context, 'file')).toBe('other');
      bench.context('url', { Dockerfile: `FROM scratch\nADD ${host}/b /file\n` });
      expect(await content(context, 'file')).toBe('two');
      // The same bytes under another name are another file.
      served.set('/d/first', 'same').set('/d/second', 'same');
      for (const name of ['first', 'second']) {
        bench.context('url', { Dockerfile: `FROM scratch\nADD ${host}/d/${name} /dir/\n` });
        expect(await content(context, `dir/${name}`)).toBe('same');
      }
    });

    it('of a stage that a mount reads', async () => {
      const file = (text: string) => `FROM busybox AS tools
RUN echo ${text} > /tool
FROM busybox
RUN --mount=from=tools,target=/t cat /t/tool > /got
`;
      const context = bench.context('mount', { Dockerfile: file('one') });
      expect(await content(context, 'got')).toBe('one\n');
      bench.context('mount', { Dockerfile: file('two') });
      expect(await content(context, 'got')).toBe('two\n');
    });

    it('of words that only look alike when joined (kaniko fork#871)', async () => {
      const file = (command: string) => `FROM busybox\nRUN ${command}\n`;
      const context = bench.context('words', { Dockerfile: file('["sh", "-c", "echo $0 $1 > /got", "a b", "c"]') });
      expect(await content(context, 'got')).toBe('a b c\n');
      bench.context('words', { Dockerfile: file('["sh", "-c", "echo $0-$1 > /got", "a", "b c"]') });
      expect(await content(context, 'got')).toBe('a-b c\n');
      bench.context('words', { Dockerfile: file('["sh", "-c", "echo $0-$1 > /got", "a b", "c"]') });
      expect(await content(context, 'got')).toBe('a b-c\n');
    });
  });

  describe('an image is not taken for another', () => {
    const config = async (context: string, ...args: readonly string[]) => {
      const dest = join(bench.dir, `layout-${outputs++}`);
      const result = await engine.build(['-o', `type=oci,tar=false,dest=${dest}`, ...args, context]);
      expect(result).toMatchObject({ code: 0 });
      return readLayout(dest).config;
    };

    it('that differs in HEALTHCHECK, ONBUILD or labels alone (CVE-2024-24557)', async () => {
      const context = bench.context('config', {
        Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nHEALTHCHECK CMD ["a"]\nONBUILD RUN a\nLABEL a=1\n',
      });
      expect((await config(context)).config).toMatchObject({
        Healthcheck: { Test: ['CMD', 'a'] },
        OnBuild: ['RUN a'],
        Labels: { a: '1' },
      });
      bench.context('config', {
        Dockerfile: 'FROM scratch\nCOPY Dockerfile /\nHEALTHCHECK CMD ["b"]\nONBUILD RUN b\nLABEL a=2\n',
      });
      expect((await config(context)).config).toMatchObject({
        Healthcheck: { Test: ['CMD', 'b'] },
        OnBuild: ['RUN b'],
        Labels: { a: '2' },
      });
    });

    it('because it is FROM scratch with the same words, and stands under a name in the store (CVE-2024-24557)', async () => {
      const [one, two] = ['one', 'two'].map((text) =>
        bench.context(`scratch-${text}`, { Dockerfile: 'FROM scratch\nCOPY file /file\n', file: text }),
      );
      const first = await engine.build(['-t', 'scratch', one ?? '']);
      expect(first.code).toBe(0);
      expect(await content(two ?? '', 'file')).toBe('two');
      expect(await content(one ?? '', 'file')).toBe('one');
    });

    it('of another platform', async () => {
      const context = bench.context('platform', {
        Dockerfile: 'FROM scratch\nARG TARGETARCH\nCOPY bin-$TARGETARCH /bin\n',
        'bin-amd64': 'amd64',
        'bin-arm64': 'arm64',
      });
      for (const arch of ['amd64', 'arm64', 'amd64']) {
        expect(await content(context, 'bin', '--platform', `linux/${arch}`)).toBe(arch);
        expect(await config(context, '--platform', `linux/${arch}`)).toMatchObject({ architecture: arch });
      }
    });
  });
});
