import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { chmodSync, existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench, SLIPWAY } from '../support/cli.ts';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

interface Mistake {
  readonly name: string;
  readonly files: Readonly<Record<string, string | Uint8Array>>;
  readonly args?: readonly string[];
  readonly code?: number;
  /** All of these are said. */
  readonly says: readonly (string | RegExp)[];
}

const MISTAKES: readonly Mistake[] = [
  {
    name: 'no Dockerfile',
    files: { 'Dockerfile.prod': 'FROM scratch\n' },
    says: ['no Dockerfile', 'Dockerfile.prod', '-f'],
  },
  { name: 'empty Dockerfile', files: { Dockerfile: '\n# only a comment\n' }, says: [/no instructions/i] },
  {
    name: 'unknown instruction',
    files: { Dockerfile: 'FROM scratch\nCPOY a b\n' },
    says: ['Dockerfile:2', 'CPOY', 'COPY'],
  },
  {
    name: 'unterminated heredoc',
    files: { Dockerfile: 'FROM busybox\nRUN <<EOF\necho\n' },
    says: ['Dockerfile:2', 'EOF', /heredoc/i],
  },
  {
    name: 'unknown target',
    files: { Dockerfile: 'FROM scratch AS build\nLABEL a=b\n' },
    args: ['--target', 'biuld'],
    says: ['biuld', 'build'],
  },
  {
    name: 'later stage',
    files: { Dockerfile: 'FROM busybox\nCOPY --from=late /a /a\nFROM busybox AS late\nRUN true\n' },
    args: ['--target', '0'],
    says: ['Dockerfile:2', 'late'],
  },
  {
    name: 'a stage that copies from itself',
    files: { Dockerfile: 'FROM busybox AS me\nCOPY --from=me /a /b\n' },
    says: ['Dockerfile:2', 'me'],
  },
  {
    name: 'the forgotten AS',
    files: { Dockerfile: 'FROM golang:latest\nRUN go build\nFROM alpine:latest\nCOPY --from=build /a .\n' },
    says: ['Dockerfile:4', 'build', 'golang:latest', 'AS build', '--from=0'],
  },
  {
    name: 'missing source',
    files: { Dockerfile: 'FROM scratch\nCOPY nothing /\n' },
    says: ['Dockerfile:2', 'nothing'],
  },
  {
    name: 'another spelling',
    files: { Dockerfile: 'FROM scratch\nCOPY readme.md /\n', 'README.md': '' },
    says: ['README.md'],
  },
  {
    name: 'a source that another stage has',
    files: {
      Dockerfile:
        'FROM busybox AS build\nRUN echo > /made\nFROM busybox AS other\nRUN true\nFROM busybox\nCOPY --from=build /made /a\nCOPY --from=other /made /made\n',
    },
    says: ['Dockerfile:7', 'stage other', 'stage build has it', 'COPY --from=build /made'],
  },
  {
    name: 'excluded source',
    files: {
      Dockerfile: 'FROM scratch\nCOPY secret.txt /\n',
      'secret.txt': '',
      '.dockerignore': '# not for images\nsecret.*\n',
    },
    says: ['secret.txt', '.dockerignore', /line 2|:2/],
  },
  {
    name: 'bad pattern',
    files: { Dockerfile: 'FROM scratch\nCOPY . /\n', '.dockerignore': 'a\n[\n' },
    says: ['.dockerignore:2'],
  },
  {
    name: 'failing RUN',
    files: { Dockerfile: 'FROM busybox\nRUN echo before; echo reason >&2; exit 7\n' },
    says: ['Dockerfile:2', 'exit code: 7', 'reason', 'RUN echo before'],
  },
  {
    name: 'unknown flag',
    files: { Dockerfile: 'FROM scratch\n' },
    args: ['--taget', 'x'],
    code: 2,
    says: ['--taget', '--target'],
  },
  {
    name: 'bad tag',
    files: { Dockerfile: 'FROM scratch\nLABEL a=b\n' },
    args: ['-t', 'Not/A Name'],
    code: 2,
    says: ['Not/A Name'],
  },
  {
    name: 'bad output',
    files: { Dockerfile: 'FROM scratch\nLABEL a=b\n' },
    args: ['-o', 'type=ocl,dest=x'],
    code: 2,
    says: ['ocl', 'oci'],
  },
];

describe('a mistake', () => {
  it.each(MISTAKES)('$name', async ({ name, files, args = [], code = 1, says }) => {
    const context = bench.context(name.replaceAll(' ', '-'), files);
    const result = await bench.run(['build', '--build-context', base, ...args, context]);
    expect(result.code, result.stderr).toBe(code);
    for (const text of says) expect(result.stderr).toMatch(text);
    expect(result.stderr.match(/^error: /gm)).toHaveLength(1);
    expect(result.stderr).not.toMatch(/^ {4}at /m);
    const temporary = join(bench.dir, 'state/tmp');
    expect(existsSync(temporary) ? readdirSync(temporary) : []).toEqual([]);
  });

  it('a machine without crun and runc', async () => {
    const context = bench.context('norun', { Dockerfile: 'FROM busybox\nRUN echo never run before\n' });
    // Hidden in a mount namespace of the test's own.
    const hide = 'for f in $(which -a crun runc); do mount --bind /dev/null "$f"; done; exec "$@"';
    const command = [process.execPath, SLIPWAY, 'build', '--build-context', base, context];
    const env = { ...process.env, ...bench.env };
    const result = spawnSync('unshare', ['-m', 'sh', '-c', hide, 'sh', ...command], { env, encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(3);
    expect(result.stderr).toMatch(/apt-get install .*crun/);
  });

  it('a full disk', async () => {
    const context = bench.context('full', {
      Dockerfile: 'FROM busybox\nCOPY big /big\nRUN cp /big /big2\n',
      big: randomBytes(20 << 20),
    });
    const small = join(bench.dir, 'small');
    mkdirSync(small, { recursive: true });
    const command = [process.execPath, SLIPWAY, 'build', '-t', 'full', '--build-context', base, context];
    const script = 'mount -t tmpfs -o size=16m tmpfs "$0"; "$@"; code=$?; find "$0/tmp" -mindepth 1; exit $code';
    const env = { ...process.env, ...bench.env, SLIPWAY_ROOT: small };
    const result = spawnSync('unshare', ['-m', 'sh', '-c', script, small, ...command], { env, encoding: 'utf8' });
    expect(result.status, result.stderr).toBe(5);
    expect(result.stderr).toMatch(/error: .*no space/i);
    expect(result.stdout).toBe('');
  });

  it('a state directory that cannot be made', async () => {
    const file = join(bench.dir, 'file');
    writeFileSync(file, '');
    chmodSync(file, 0o644);
    const context = bench.context('noroot', { Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    const result = await bench.run(['build', context], { env: { SLIPWAY_ROOT: join(file, 'state') } });
    expect(result.code).not.toBe(0);
    expect(result.stderr).toContain('SLIPWAY_ROOT');
  });
});
