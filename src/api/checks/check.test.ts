import { chmodSync, mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildError } from '../../contracts/index.ts';
import { parseDockerfile } from '../../dockerfile/index.ts';
import { convert } from '../../frontend/testing.ts';
import { check, type CheckOptions } from './check.ts';
import { listTargets, outline } from './outline.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-check-'));
});
afterAll(() => rmSync(root, { recursive: true }));

let contexts = 0;
function context(files: Readonly<Record<string, string>>): string {
  const directory = join(root, `${contexts++}`);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(directory, path, '..'), { recursive: true });
    writeFileSync(join(directory, path), text);
  }
  return directory;
}

async function rules(options: CheckOptions): Promise<readonly string[]> {
  const { findings, errors } = await check(options);
  return [
    ...findings.map(({ rule, location }) => `${rule.name}:${location.ranges[0]?.start.line}`),
    ...errors.map(({ code }) => code),
  ];
}

async function fixed(text: string): Promise<string> {
  const result = await check({ context: '-', stdin: Readable.from([Buffer.from(text)]), fix: 'show' });
  return result.fixed?.text ?? text;
}

describe('check', () => {
  it('reads the Dockerfile and what is beside it, and names it from the current directory', async () => {
    const directory = context({ 'sub/Dockerfile': 'FROM scratch\nCOPY a b /\n', 'sub/.dockerignore': 'a\n' });
    const { findings, file } = await check({ context: 'sub', cwd: directory });
    expect(file.filename).toBe('sub/Dockerfile');
    expect(findings.map(({ rule, url }) => [rule.name, url])).toEqual([
      ['CopyIgnoredFile', 'https://docs.docker.com/go/dockerfile/rule/copy-ignored-file/'],
    ]);
  });

  it('takes the ignore file of a Dockerfile elsewhere', async () => {
    const directory = context({ 'x.df': 'FROM scratch\nCOPY a /\n', 'x.df.dockerignore': 'a\n', 'ctx/a': '' });
    expect(await rules({ context: 'ctx', dockerfile: 'x.df', cwd: directory })).toEqual(['CopyIgnoredFile:2']);
  });

  it('looks for a repository in the context', async () => {
    const files = { Dockerfile: 'FROM node\nCOPY . /app\n', '.git/HEAD': 'x' };
    expect(await rules({ context: context(files) })).toEqual(['VcsInFinalImage:2']);
    expect(await rules({ context: context({ ...files, '.dockerignore': '.git\n' }) })).toEqual([]);
  });

  it('reads a Dockerfile from standard input, with or without a context', async () => {
    const stdin = (): Readable => Readable.from([Buffer.from('FROM scratch as a\n')]);
    expect(await rules({ context: '-', stdin: stdin() })).toEqual(['FromAsCasing:1']);
    expect(await rules({ context: context({ a: '' }), dockerfile: '-', stdin: stdin() })).toEqual(['FromAsCasing:1']);
    await expect(check({ context: '-', dockerfile: '-', stdin: stdin() })).rejects.toMatchObject({ code: 'usage' });
  });

  it('reads the two files out of a tar', async () => {
    const { pack } = await import('tar-stream');
    const tar = pack();
    tar.entry({ name: './Dockerfile' }, 'FROM node\nCOPY . /app\nCOPY x /\n');
    tar.entry({ name: './.dockerignore' }, 'x\n');
    tar.entry({ name: './.git/HEAD' }, 'x');
    tar.finalize();
    const piped = Readable.from(tar);
    expect(await rules({ context: '-', stdin: piped })).toEqual(['VcsInFinalImage:2', 'CopyIgnoredFile:3']);
  });

  it('shows what is above a syntax error, and the error', async () => {
    const directory = context({ Dockerfile: 'FROM scratch AS Bad\nMAINTAINER me\nBADCMD\nENV a b\n' });
    const { findings, errors } = await check({ context: directory });
    expect(findings.map(({ rule }) => rule.name)).toEqual(['StageNameCasing', 'MaintainerDeprecated']);
    expect(errors).toMatchObject([{ code: 'dockerfile', location: { ranges: [{ start: { line: 3 } }] } }]);
  });

  it.each([
    ['FROM scratch\n', { skip: ['Nothing'] }, 'usage'],
    ['FROM scratch\n', { enable: ['unpinnedbaseimage'] }, 'usage'],
    ['FROM scratch\n', { context: 'https://github.com/a/b.git' }, 'unsupported'],
    ['FROM scratch\n', { context: '/nowhere/at/all' }, 'context'],
    ['FROM scratch\n', { dockerfile: 'other' }, 'dockerfile'],
    ['FROM scratch\n', { platform: 'x/y/z/w' }, 'usage'],
  ] as const)('%j with %j is refused as %s', async (text, options, code) => {
    const directory = context({ Dockerfile: text });
    await expect(check({ context: directory, cwd: directory, ...options })).rejects.toMatchObject({ code });
  });

  it('leaves out and takes in rules by name', async () => {
    const directory = context({ Dockerfile: 'FROM alpine as a\nENV b c\n' });
    expect(await rules({ context: directory, skip: ['FromAsCasing'], enable: ['UnpinnedBaseImage'] })).toEqual([
      'UnpinnedBaseImage:1',
      'LegacyKeyValueFormat:2',
    ]);
    expect(await rules({ context: directory, skip: ['all'] })).toEqual([]);
  });
});

describe('fix', () => {
  const UNNAMED =
    'FROM golang:latest\nCOPY app.go .\nRUN go build -o my-binary\nFROM alpine:latest\nCOPY --from=build /go/my-binary .\nCMD ["./my-binary"]';

  it.each([
    ['the stage that a name can only mean', UNNAMED, UNNAMED.replace('latest\n', 'latest AS build\n')],
    [
      'the same in lower case',
      'from a\nfrom b\ncopy --from=Build /a /\n',
      'from a as build\nfrom b\ncopy --from=Build /a /\n',
    ],
    ['AS', 'FROM a as b\nFROM b\n', 'FROM a AS b\nFROM b\n'],
    [
      'instructions, then their AS',
      '# x\nFrom a as b\nRUN true\n  Copy  a   b # c\nFROM b\n',
      '# x\nFROM a AS b\nRUN true\n  COPY  a   b # c\nFROM b\n',
    ],
    ['ENV of one word', 'FROM a\nENV  a   b\nLABEL x.y/z $q\n', 'FROM a\nENV  a=b\nLABEL x.y/z=$q\n'],
    ['ENV of several words', 'FROM a\nENV a b  c $d \n', 'FROM a\nENV a="b  c $d" \n'],
    ['ENV in quotes', `FROM a\nENV a "b c"\nENV d 'e f'\n`, `FROM a\nENV a="b c"\nENV d='e f'\n`],
    ['ENV over lines', 'FROM a\nENV a b \\\n# c\n  d\n', 'FROM a\nENV a="b \\\n# c\n  d"\n'],
    [
      'a command of plain words',
      'FROM a\nCMD x  --y=z ./w\nENTRYPOINT /bin/e\n',
      'FROM a\nCMD ["x", "--y=z", "./w"]\nENTRYPOINT ["/bin/e"]\n',
    ],
    ['an array in single quotes', "FROM a\nCMD ['x', 'y z']\n", 'FROM a\nCMD ["x", "y z"]\n'],
    [
      'with a byte order mark and CRLF',
      '\uFEFFFROM a as b\r\nENV c d\r\nFROM b\r\n',
      '\uFEFFFROM a AS b\r\nENV c=d\r\nFROM b\r\n',
    ],
  ])('repairs %s', async (_name, before, after) => {
    expect(await fixed(before)).toBe(after);
    expect(await fixed(after)).toBe(after);
  });

  it.each([
    ['two stages that may be meant', 'FROM a\nFROM b\nFROM c\nCOPY --from=build /a /\n'],
    ['two names for one stage', 'FROM a\nFROM b\nCOPY --from=build /a /\nCOPY --from=other /a /\n'],
    ['a name that a FROM has', 'FROM a\nFROM build\nFROM c\nCOPY --from=build /a /\n'],
    ['the number of a stage', 'FROM a\nFROM b\nCOPY --from=0 /a /\nCOPY --from=build /a /\n'],
    ['a name that may be an image', 'FROM a\nFROM b\nCOPY --from=nginx /a /\n'],
    ['names of stages', 'FROM a AS Xx\nFROM Xx AS Xx\n'],
    ['ENV with quotes within', `FROM a\nENV a b "c" d\nENV e it\\'s me\nENV f b\\ c d\n`],
    [
      'commands that need a shell',
      'FROM a\nCMD echo $HOME\nCMD a && b\nCMD cd /x\nCMD exec a\nCMD A=b c\nCMD a "b c"\nCMD a *.b\nCMD ~/x\n',
    ],
    ['commands where SHELL is set', 'FROM a\nSHELL ["/bin/bash", "-c"]\nCMD x y\n'],
    ['what a comment protects', 'FROM a\n# check=skip=LegacyKeyValueFormat\nENV a b\n'],
    ['what does not parse', 'FROM a as b\nENV\n'],
  ])('leaves %s alone', async (_name, text) => {
    expect(await fixed(text)).toBe(text);
  });

  it('changes no result of a build', async () => {
    const before =
      '# c\nFrom golang as Build\nENV a b  "c"\nENV a b  c $x\nenv d $a\nLABEL x y\nCOPY a /\nrun make\nFROM alpine\nCOPY --from=build /a /b\n';
    const after = await fixed(before);
    expect(after).not.toBe(before);
    const [old, now] = await Promise.all([convert(before), convert(after)]);
    expect(now.definition.result?.vertex.digest).toBe(old.definition.result?.vertex.digest);
    expect(now.config).toEqual(old.config);
  });

  it('makes the file buildable', async () => {
    await expect(convert(UNNAMED)).rejects.toMatchObject({ code: 'stage' });
    await expect(convert(await fixed(UNNAMED))).resolves.toBeDefined();
  });

  it('keeps what a command runs', async () => {
    const { config } = await convert(await fixed('FROM a\nCMD x --y\n'));
    expect(config.config?.Cmd).toEqual(['x', '--y']);
  });

  it('writes the file in place, through links, with its mode, and reports what is left', async () => {
    const directory = context({ real: 'FROM scratch as a\nMAINTAINER b\n' });
    chmodSync(join(directory, 'real'), 0o640);
    symlinkSync('real', join(directory, 'Dockerfile'));
    const { findings, fixed: change } = await check({ context: directory, fix: 'write' });
    expect(readFileSync(join(directory, 'real'), 'utf8')).toBe('FROM scratch AS a\nMAINTAINER b\n');
    expect(statSync(join(directory, 'real')).mode & 0o777).toBe(0o640);
    expect(findings.map(({ rule }) => rule.name)).toEqual(['MaintainerDeprecated']);
    expect(change?.repairs).toBe(1);
  });

  it('writes nothing to show', async () => {
    const directory = context({ Dockerfile: 'FROM scratch as a\n' });
    const { findings, fixed: change } = await check({ context: directory, fix: 'show' });
    expect(readFileSync(join(directory, 'Dockerfile'), 'utf8')).toBe('FROM scratch as a\n');
    expect(findings).toHaveLength(1);
    expect(change?.text).toBe('FROM scratch AS a\n');
  });

  it('cannot write to standard input', async () => {
    const stdin = Readable.from([Buffer.from('FROM a as b\n')]);
    await expect(check({ context: '-', stdin, fix: 'write' })).rejects.toBeInstanceOf(BuildError);
  });

  it('never breaks a file', async () => {
    const lines = [
      'FROM a as b',
      'From c',
      'ENV a b c',
      "ENV d 'e",
      'CMD x y',
      "CMD ['a']",
      'copy --from=q /a /',
      'RUN <<E\nENV a b\nE',
      'LABEL a b \\',
      '\n',
      'entrypoint ["x"]',
    ];
    let seed = 7;
    const random = (): number => (seed = (seed * 48271) % 2147483647);
    for (let i = 0; i < 300; i++) {
      const text = Array.from({ length: 1 + (random() % 9) }, () => lines[random() % lines.length]).join('\n');
      const once = await fixed(text);
      expect(await fixed(once)).toBe(once);
      if (once !== text) expect(() => parseDockerfile(once)).not.toThrow();
    }
  });
});

describe('outline and targets', () => {
  const FILE = `# VERSION of the base
ARG VERSION=1
ARG UNUSED=x
ARG REGISTRY=docker.io
ARG IMAGE=\${REGISTRY}/alpine
# base is stood on
FROM \${IMAGE}:\${VERSION} AS base
ARG TARGETARCH
# MODE to build in
ARG MODE=fast OTHER
RUN --mount=type=secret,id=token --mount=type=cache,target=/root/.cache/ true
# app is the program
FROM base AS App
ARG VERSION
RUN --mount=type=secret,id=token,required=true --mount=type=ssh --mount=type=cache,id=x,target=/y true
FROM --platform=$BUILDPLATFORM scratch
`;

  it('list the stages', async () => {
    const { targets } = await listTargets({ context: context({ Dockerfile: FILE }) });
    expect(targets.map(({ range, ...target }) => [range.start.line, target])).toEqual([
      [
        7,
        {
          name: 'base',
          isDefault: false,
          description: 'is stood on',
          base: '${IMAGE}:${VERSION}',
          platform: undefined,
        },
      ],
      [13, { name: 'app', isDefault: false, description: 'is the program', base: 'base', platform: undefined }],
      [16, { name: undefined, isDefault: true, description: undefined, base: 'scratch', platform: '$BUILDPLATFORM' }],
    ]);
  });

  it('list what a target takes', async () => {
    const directory = context({ Dockerfile: FILE });
    const { args, secrets, ssh, caches, name, description } = await outline({
      context: directory,
      target: 'app',
      buildArgs: { MODE: 'slow' },
    });
    expect([name, description]).toEqual(['app', 'is the program']);
    expect(args.map((arg) => [arg.name, arg.value, arg.description])).toEqual([
      ['VERSION', '1', 'of the base'],
      ['REGISTRY', 'docker.io', undefined],
      ['IMAGE', 'docker.io/alpine', undefined],
      ['MODE', 'slow', 'to build in'],
      ['OTHER', undefined, undefined],
    ]);
    expect(secrets.map(({ id, required }) => [id, required])).toEqual([['token', true]]);
    expect(ssh.map(({ id, required }) => [id, required])).toEqual([['default', false]]);
    expect(caches.map(({ id }) => id)).toEqual(['/root/.cache', 'x']);
  });

  it('know no stage that is not there', async () => {
    await expect(outline({ context: context({ Dockerfile: FILE }), target: 'ap' })).rejects.toMatchObject({
      code: 'stage',
    });
  });
});
