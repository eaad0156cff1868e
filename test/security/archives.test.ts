/**
 * Hostile archives, by every way in: a base image's layer that becomes a directory (RUN), one that files are copied from
 * (COPY --from), ADD of an archive, a context on standard input. Sentinels outside must neither change nor be read.
 *
 * CVE-2026-28406 (kaniko), CVE-2020-10696 and CVE-2024-9676 (buildah, containers/storage), GHSA-vp62-88p7-qqf5 (moby),
 * npm tar: CVE-2021-37712, CVE-2026-23745, CVE-2026-23950, CVE-2026-26960, CVE-2026-29786, CVE-2026-31802.
 */
import { existsSync, lstatSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { rawTar, type RawEntry } from '../support/tar.ts';

const bench = new Bench();
const secret = 'the host file';
let outside = '';
let base = '';

beforeAll(() => {
  outside = join(bench.dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'sentinel'), secret, { mode: 0o600 });
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

/** `..` enough to leave any directory. */
const UP = '../'.repeat(30);

const ATTACKS = (out: string): Readonly<Record<string, readonly RawEntry[]>> => ({
  'a name that climbs out': [{ name: `${UP}${out.slice(1)}/planted`, data: 'x' }],
  'an absolute name': [{ name: `${out}/planted`, data: 'x' }],
  'a symbolic link, then a file through it': [
    { name: 'way', type: '2', link: out },
    { name: 'way/planted', data: 'x' },
    { name: 'way/sentinel', data: 'overwritten' },
  ],
  'a chain of links': [
    { name: 'a', type: '2', link: '..' },
    { name: 'a/b', type: '2', link: `..${out}` },
    { name: 'b', type: '2', link: `${UP}${out.slice(1)}` },
    { name: 'b/planted', data: 'x' },
  ],
  'a hard link to a host file': [
    { name: 'copy', type: '1', link: `${out}/sentinel` },
    { name: 'copy2', type: '1', link: `${UP}${out.slice(1)}/sentinel` },
  ],
  'a hard link by way of a symbolic link': [
    { name: 'way', type: '2', link: out },
    { name: 'copy', type: '1', link: 'way/sentinel' },
  ],
  'a link over a directory that is used later': [
    { name: 'dir', type: '5', mode: 0o755 },
    { name: 'dir', type: '2', link: out },
    { name: 'dir/planted', data: 'x' },
  ],
  'names that are one when case or form is folded': [
    { name: 'Way', type: '2', link: out },
    { name: 'way/planted', data: 'x' },
    { name: 'caf\u00e9', type: '2', link: out },
    { name: 'cafe\u0301/planted', data: 'x' },
  ],
  "another system's drive": [
    { name: 'C:../planted', data: 'x' },
    { name: 'link', type: '1', link: 'C:../sentinel' },
  ],
  'a white-out of what is outside': [{ name: `${UP}${out.slice(1)}/.wh.sentinel` }, { name: `..${out}/.wh..wh..opq` }],
});

/** Every regular file below a directory, as text; links are not followed. */
function contents(directory: string): readonly string[] {
  if (!existsSync(directory)) return [];
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return contents(path);
    return entry.isFile() ? [readFileSync(path, 'utf8')] : [];
  });
}

function expectUntouched(): void {
  expect(readdirSync(outside)).toEqual(['sentinel']);
  expect(readFileSync(join(outside, 'sentinel'), 'utf8')).toBe(secret);
  expect(lstatSync(join(outside, 'sentinel')).nlink).toBe(1);
}

describe.each([
  'a name that climbs out',
  'an absolute name',
  'a symbolic link, then a file through it',
  'a chain of links',
  'a hard link to a host file',
  'a hard link by way of a symbolic link',
  'a link over a directory that is used later',
  'names that are one when case or form is folded',
  "another system's drive",
  'a white-out of what is outside',
])('%s', (name) => {
  const slug = name.replaceAll(/[^a-z]+/g, '-');
  const archive = () => rawTar(ATTACKS(outside)[name] ?? []);

  it('in a base image', async () => {
    const busybox = readLayer(join(bench.dir, 'busybox-layout'));
    const layout = writeLayout(join(bench.dir, `layout-${slug}`), [busybox, archive()], { Env: ['PATH=/bin'] });
    const context = bench.context(`base-${slug}`, {
      Dockerfile:
        'FROM hostile AS run\nRUN find / -xdev -name sentinel -exec cat {} + > /found; ls -la / > /listing\nFROM scratch\nCOPY --from=hostile / /image/\nCOPY --from=run /found /found\n',
    });
    const out = join(bench.dir, `out-base-${slug}`);
    // It may build, with the entry kept inside, or be refused; it may not reach out.
    const result = await bench.run([
      'build',
      '--build-context',
      `hostile=oci-layout://${layout}:latest`,
      '-o',
      out,
      context,
    ]);
    expect([0, 1, 4], result.stderr).toContain(result.code);
    expectUntouched();
    for (const content of contents(out)) expect(content).not.toContain(secret);
  });

  it('in an archive that ADD unpacks', async () => {
    const context = bench.context(`add-${slug}`, {
      Dockerfile: 'FROM busybox\nADD evil.tar /target/\nRUN ls -laR /target\n',
      'evil.tar': archive(),
    });
    const out = join(bench.dir, `out-add-${slug}`);
    const result = await bench.run(['build', '--build-context', base, '-o', out, context]);
    expect([0, 1, 4], result.stderr).toContain(result.code);
    expectUntouched();
    for (const content of contents(join(out, 'target'))) expect(content).not.toContain(secret);
  });

  it('as a context on standard input', async () => {
    const dockerfile = rawTar([{ name: 'Dockerfile', data: 'FROM scratch\nCOPY . /context/\n' }]).subarray(0, -1024);
    const out = join(bench.dir, `out-stdin-${slug}`);
    const result = await bench.run(['build', '-o', out, '-'], { stdin: Buffer.concat([dockerfile, archive()]) });
    expect([0, 1, 4], result.stderr).toContain(result.code);
    expectUntouched();
    for (const content of contents(join(out, 'context'))) expect(content).not.toContain(secret);
  });
});

/** The plain tar of a layout's only layer. */
function readLayer(layout: string): Buffer {
  const index = JSON.parse(readFileSync(join(layout, 'index.json'), 'utf8')) as { manifests: [{ digest: string }] };
  const blob = (digest: string) => readFileSync(join(layout, 'blobs', digest.replace(':', '/')));
  const manifest = JSON.parse(blob(index.manifests[0].digest).toString('utf8')) as { layers: [{ digest: string }] };
  return gunzipSync(blob(manifest.layers[0].digest));
}
