/** Fewer layers on demand: `--squash`, and files that are there already. */
import { readFileSync, utimesSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, readLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

let outputs = 0;
async function build(context: string, ...flags: readonly string[]) {
  const layout = join(bench.dir, `out-${++outputs}`);
  const built = await bench.run([
    'build',
    '--build-context',
    base,
    '-o',
    `type=oci,tar=false,dest=${layout}`,
    ...flags,
    context,
  ]);
  expect(built, built.stderr).toMatchObject({ code: 0 });
  const { manifest, config } = readLayout(layout);
  const layers = (manifest as unknown as { layers: { digest: string }[] }).layers.map(({ digest }) => digest);
  const tars = layers.map((digest) => gunzipSync(readFileSync(join(layout, 'blobs', digest.replace(':', '/')))));
  const { history, rootfs } = config as unknown as {
    history: { created_by?: string; empty_layer?: boolean }[];
    rootfs: { diff_ids: string[] };
  };
  return { layers, tars, history, diffIds: rootfs.diff_ids, stderr: built.stderr };
}

describe('--squash', () => {
  const SECRET = 'removed-in-a-later-step';
  const project = (): string =>
    bench.context('squash', {
      Dockerfile:
        'FROM busybox\nCOPY a b /data/\nRUN rm /data/a && echo 1 > /data/c\nENV A=b\nRUN rm /etc/group && mkdir /e\n',
      a: SECRET,
      b: 'kept',
    });

  it('has one layer of what was built, without what was removed, on the layers of the base', async () => {
    const plain = await build(project());
    expect(plain.layers).toHaveLength(4);
    expect(plain.tars.some((tar) => tar.includes(SECRET))).toBe(true);
    const squashed = await build(project(), '--squash', '-t', 'squashed');
    expect(squashed.layers).toHaveLength(2);
    expect(squashed.layers[0]).toBe(plain.layers[0]);
    expect(squashed.tars.some((tar) => tar.includes(SECRET))).toBe(false);
    expect(squashed.tars[1]?.includes('etc/.wh.group')).toBe(true);
    expect(squashed.history.at(-1)).toMatchObject({ created_by: 'slipway build --squash=new' });
    expect(squashed.history.filter(({ empty_layer: empty }) => empty !== true)).toHaveLength(2);
    expect(squashed.history.map(({ created_by: by }) => by)).toContain('ENV A=b');
    expect(
      (await bench.run(['run', 'squashed', 'sh', '-c', 'cat /data/b /data/c; ls /data; ls /etc/group'])).stdout,
    ).toBe('kept1\nb\nc\n');
    const again = await build(project(), '--squash');
    expect(again.layers).toEqual(squashed.layers);
    expect(again.stderr).toContain('CACHED');
  });

  it('of all has one layer, with all of its steps in the history', async () => {
    const all = await build(project(), '--squash=all', '-t', 'all');
    expect(all.layers).toHaveLength(1);
    expect(all.tars[0]?.includes('.wh.')).toBe(false);
    expect(all.history.filter(({ empty_layer: empty }) => empty !== true)).toEqual([
      expect.objectContaining({ created_by: 'slipway build --squash=all' }),
    ]);
    expect((await bench.run(['run', 'all', 'cat', '/data/b'])).stdout).toBe('kept');
  });

  it('leaves an image of one layer as it is', async () => {
    const one = bench.context('one', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    expect((await build(one, '--squash=all')).history.at(-1)?.created_by).toContain('COPY');
  });

  it('says what it takes', async () => {
    const result = await bench.run(['build', '--squash=some', project()]);
    expect(result).toMatchObject({ code: 2, stderr: expect.stringContaining('new or all') as string });
    const remote = await bench.run(['build', '--squash', '--builder', 'tcp://127.0.0.1:1', project()]);
    expect(remote.stderr).toContain('does not squash');
  });
});

describe('files that a copy writes identically', () => {
  const context = (): string => {
    const dir = bench.context('same', {
      Dockerfile: 'FROM busybox AS first\nCOPY same /d/\nFROM first\nCOPY again/ /d/\n',
      same: 'content of a file that is there',
      'again/same': 'content of a file that is there',
      'again/other': 'another',
    });
    utimesSync(join(dir, 'same'), 1000, 1000);
    utimesSync(join(dir, 'again/same'), 2000, 2000);
    return dir;
  };

  it('take no space again, or with --exact-layers the space that they take with BuildKit', async () => {
    const lean = await build(context());
    expect(lean.tars.at(-1)?.includes('d/other')).toBe(true);
    expect(lean.tars.at(-1)?.includes('d/same')).toBe(false);
    const exact = await build(context(), '--exact-layers');
    expect(exact.tars.at(-1)?.includes('d/same')).toBe(true);
    expect((await build(context())).diffIds).toEqual(lean.diffIds);
  });
});
