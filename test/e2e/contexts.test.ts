/** Where a context and a Dockerfile may come from, beside directories, git and the web (test/language has those). */
import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines, type TestEngine } from '../support/engines.ts';
import { imageContents } from '../support/image-content.ts';

const bench = new Bench();
let layout = '';
beforeAll(() => {
  layout = busyboxLayout(bench.dir);
});
afterAll(() => bench.dispose());

let outputs = 0;

/** The paths of the image that these words and this standard input make. */
async function pathsOf(
  engine: TestEngine,
  args: readonly string[],
  stdin?: string | Uint8Array,
): Promise<readonly string[]> {
  const dest = join(bench.dir, `out-${outputs++}`);
  const out = ['-o', `type=oci,tar=false,dest=${dest}`];
  const { code, stderr } = await engine.build([...out, ...args], stdin === undefined ? {} : { stdin });
  expect(code, stderr).toBe(0);
  const [image] = await imageContents(dest);
  return Object.keys(image?.files ?? {});
}

function tarOf(context: string): Buffer {
  return execFileSync('tar', ['-C', context, '-cf', '-', '.']);
}

onBothEngines(bench, (engine) => {
  const paths = async (args: readonly string[], stdin?: string | Uint8Array): Promise<readonly string[]> =>
    await pathsOf(engine, args, stdin);

  describe('on standard input', () => {
    const files = { Dockerfile: 'FROM scratch\nCOPY . /c/\n', a: 'a', b: 'b', '.dockerignore': 'b\n' };

    it('a tar is the context; its ignore file does not count', async () => {
      const tar = tarOf(bench.context('tar', files));
      const all = ['c', 'c/.dockerignore', 'c/Dockerfile', 'c/a', 'c/b'];
      expect(await paths(['-'], tar)).toEqual(all);
      expect(await paths(['-'], gzipSync(tar))).toEqual(all);
    });

    it('a tar with another Dockerfile in it', async () => {
      const tar = tarOf(bench.context('tar-f', { ...files, 'sub/other': 'FROM scratch\nCOPY a /only\n' }));
      expect(await paths(['-f', 'sub/other', '-'], tar)).toEqual(['only']);
    });

    it('a Dockerfile is without a context', async () => {
      expect(await paths(['-'], 'FROM scratch\nCOPY <<x /made\ntext\nx\n')).toEqual(['made']);
      const { code, stderr } = await engine.build(['-'], { stdin: 'FROM scratch\nCOPY a /\n' });
      expect([code, stderr]).toEqual([1, expect.stringMatching(/"a" is not in the build context/)]);
    });

    it('a Dockerfile for a directory', async () => {
      const context = bench.context('stdin-f', files);
      expect(await paths(['-f', '-', context], 'FROM scratch\nCOPY . /d/\n')).toContain('d/a');
    });

    it('a Dockerfile and a context cannot both be there', async () => {
      const { code, stderr } = await engine.build(['-f', '-', '-'], { stdin: 'FROM scratch\n' });
      expect(code).toBe(2);
      expect(stderr).toMatch(/^error: .*standard input/m);
    });

    it('nothing is said to be nothing', async () => {
      const { code, stderr } = await engine.build(['-'], { stdin: '' });
      expect(code).not.toBe(0);
      expect(stderr.match(/^error: /gm), stderr).toHaveLength(1);
    });
  });

  describe('an OCI layout', () => {
    it.each([
      ['in place of a base', 'FROM base\nCOPY a /a\n'],
      ['as a source', 'FROM scratch\nCOPY --from=base /etc/passwd /a\n'],
      ['in a mount', 'FROM base\nRUN --mount=from=base,target=/m cp /m/etc/passwd /a\n'],
    ])('%s', async (name, Dockerfile) => {
      const context = bench.context(`layout ${name}`, { Dockerfile, a: 'a' });
      expect(await paths(['--build-context', `base=oci-layout://${layout}`, context])).toContain('a');
    });

    it('that is not there, or has no such tag', async () => {
      const context = bench.context('no-layout', { Dockerfile: 'FROM base\n' });
      for (const path of [join(bench.dir, 'nowhere'), layout.replace(/:latest$/, ':none')]) {
        const { code, stderr } = await engine.build(['--build-context', `base=oci-layout://${path}`, context]);
        expect(code).not.toBe(0);
        expect(stderr.match(/^error: /gm), stderr).toHaveLength(1);
        expect(stderr).not.toMatch(/^ {4}at /m);
      }
    });
  });

  describe('a Dockerfile outside of the context', () => {
    it('is read, with its own ignore file, and is not in the context', async () => {
      const context = bench.context('outside', { a: 'a', b: 'b', Dockerfile: 'FROM none\n' });
      const file = join(
        bench.context('elsewhere', {
          'my.Dockerfile': 'FROM scratch\nCOPY . /c/\n',
          'my.Dockerfile.dockerignore': 'b\n',
        }),
        'my.Dockerfile',
      );
      expect(await paths(['-f', file, context])).toEqual(['c', 'c/Dockerfile', 'c/a']);
    });
  });
});
