import { describe, expect, it } from 'vitest';
import type { CheckSettings } from './testing.ts';
import { checkFile, found } from './testing.ts';

type Case = [name: string, dockerfile: string, expected: readonly string[], settings?: CheckSettings];

const CASES: Readonly<Record<string, readonly Case[]>> = {
  MissingStageName: [
    [
      'the one stage that has none',
      'FROM golang\nRUN go build\nFROM alpine\nCOPY --from=build /a /b',
      ['MissingStageName:4'],
    ],
    ['for a mount, too', 'FROM golang\nFROM alpine\nRUN --mount=from=build,target=/b true', ['MissingStageName:3']],
    ['not for an image', 'FROM alpine AS b\nCOPY --from=nginx /a /\nCOPY --from=b.io/c /a /', []],
    [
      'not for a named context',
      'FROM golang\nFROM alpine\nCOPY --from=build /a /',
      ['UnusedStage:1'],
      { contexts: { build: { kind: 'docker-image', ref: 'busybox' } } },
    ],
    ['not when it is used by its number', 'FROM golang\nFROM alpine\nCOPY --from=0 /a /\nCOPY --from=build /a /', []],
    [
      'a slip of a name is an error',
      'FROM golang AS build\nFROM alpine\nCOPY --from=biuld /a /',
      ['UnusedStage:1', 'error:3'],
    ],
  ],
  UnusedStage: [
    ['a leaf', 'FROM a AS x\nFROM b\nFROM c', ['UnusedStage:1', 'UnusedStage:2']],
    ['not what only such a stage uses', 'FROM a AS deps\nFROM deps AS other\nFROM c', ['UnusedStage:2']],
    [
      'not what is used by a mount or number',
      'FROM a AS x\nFROM b\nFROM c\nCOPY --from=1 /a /\nRUN --mount=from=x,target=/x true',
      [],
    ],
    [
      'not a target with a description',
      '\n# binaries-only the files alone\nFROM a AS binaries-only\n\n# other text\nFROM b AS x\nFROM c',
      ['UnusedStage:6'],
    ],
    ['not a target by its name', 'FROM a AS test\nFROM b AS dev-server\nFROM c AS lint\nFROM d', []],
    ['the same with a target given', 'FROM a AS x\nFROM b AS y\nFROM c', ['UnusedStage:1'], { target: 'y' }],
  ],
  WholeStageCopied: [
    ['the root of a stage', 'FROM golang AS b\nRUN x\nFROM alpine\nCOPY --from=b / /', ['WholeStageCopied:4']],
    [
      'the root of a stage, below a directory',
      'FROM golang AS b\nFROM alpine\nCOPY --from=b /. /x',
      ['WholeStageCopied:3'],
    ],
    ['not onto scratch', 'FROM golang AS b\nRUN x\nFROM scratch\nCOPY --from=b / /', []],
    ['not of a stage on scratch', 'FROM scratch AS b\nCOPY a /\nFROM alpine\nCOPY --from=b / /', []],
    ['not of an image', 'FROM alpine\nCOPY --from=example.org/rootfs / /', []],
    [
      'what is passed on in parts',
      'FROM golang AS b\nRUN x\nFROM alpine AS m\nCOPY --from=b /src /src\nFROM alpine\nCOPY --from=m /src/bin/app /app',
      ['WholeStageCopied:4'],
    ],
    [
      'not when a step could use the rest',
      'FROM golang AS b\nRUN x\nFROM alpine AS m\nCOPY --from=b /src /src\nRUN y\nFROM alpine\nCOPY --from=m /src/bin/app /app',
      [],
    ],
    [
      'not when it is passed on whole',
      'FROM golang AS b\nRUN x\nFROM alpine AS m\nCOPY --from=b /src /src\nFROM alpine\nCOPY --from=m /src /src',
      [],
    ],
    [
      'not when a stage stands on it',
      'FROM golang AS b\nFROM alpine AS m\nCOPY --from=b /src /src\nFROM m\nCOPY --from=m /src/a /a',
      [],
    ],
  ],
  CopyFromMissingPath: [
    ['nothing is in an empty stage', 'FROM scratch AS s\nFROM alpine\nCOPY --from=s /a /', ['CopyFromMissingPath:3']],
    [
      'another path than it holds',
      'FROM scratch AS s\nCOPY app /out/app\nFROM alpine\nCOPY --from=s /uot/app /',
      ['CopyFromMissingPath:4'],
    ],
    [
      'not what it holds, above or below',
      'FROM scratch AS s\nCOPY app /out/app\nWORKDIR /w\nFROM alpine\nCOPY --from=s /out /a\nCOPY --from=s /out/app/x /b\nCOPY --from=s /w /c',
      [],
    ],
    ['not when anything may be in it', 'FROM scratch AS s\nCOPY . /\nFROM alpine\nCOPY --from=s /any /', []],
    [
      'files by their names',
      'FROM scratch AS s\nCOPY <<a.txt /\nx\na.txt\nFROM alpine\nCOPY --from=s /a.txt /\nCOPY --from=s /b.txt /',
      ['CopyFromMissingPath:7'],
    ],
    ['not when a RUN may make it', 'FROM busybox AS s\nRUN x\nFROM alpine\nCOPY --from=s /any /', []],
    [
      'one letter off',
      'FROM golang AS b\nCOPY app.go .\nRUN go build -o my-binary\nFROM alpine\nCOPY --from=b /go/my-binry .',
      ['CopyFromMissingPath:5'],
    ],
    [
      'two letters swapped',
      'FROM a AS b\nWORKDIR /workspace\nRUN make\nFROM alpine\nCOPY --from=b /worksapce/bin /bin',
      ['CopyFromMissingPath:5'],
    ],
    [
      'not when it is mentioned',
      'FROM a AS b\nWORKDIR /server\nRUN make /servers\nFROM alpine\nCOPY --from=b /servers/x /',
      [],
    ],
    ['not one and many', 'FROM a AS b\nRUN x /out/binary\nFROM alpine\nCOPY --from=b /out/binarys /', []],
    ['not another number', 'FROM a AS b\nRUN x -o /out/app1\nFROM alpine\nCOPY --from=b /out/app2 /', []],
    ['not a directory of the system', 'FROM a AS b\nRUN cp x /libs/y\nFROM alpine\nCOPY --from=b /lib /', []],
    [
      'not with a wildcard or a variable',
      'FROM scratch AS s\nFROM alpine\nCOPY --from=s /a* /\nCOPY --from=s $X/a /',
      [],
    ],
  ],
  BuildToolsInFinalImage: [
    ['the image of a compiler', 'FROM golang\nRUN go build -o /app\nCMD ["/app"]', ['BuildToolsInFinalImage:1']],
    [
      'of the stage below, too',
      'FROM rust AS b\nRUN cargo build\nFROM b\nENTRYPOINT ["/app"]',
      ['BuildToolsInFinalImage:1'],
    ],
    ['not when it runs the compiler', 'FROM golang\nRUN go build\nCMD ["go", "run", "."]', []],
    ['not without a command', 'FROM golang\nRUN go build\n', []],
    ['not for a shell', 'FROM golang\nRUN go install x\nCMD ["bash"]', []],
    [
      'not in a stage that is copied from',
      'FROM golang AS b\nRUN go build -o /app\nFROM scratch\nCOPY --from=b /app /\nCMD ["/app"]',
      [],
    ],
    [
      'packages that stay',
      'FROM python\nRUN apk add --no-cache gcc musl-dev && pip install --no-cache-dir x\nCMD ["x"]',
      ['BuildToolsInFinalImage:2'],
    ],
    [
      'not when they go again',
      'FROM python\nRUN apk add --no-cache --virtual .b gcc && pip install --no-cache-dir x && apk del .b\nCMD ["x"]',
      [],
    ],
    [
      'not when apt takes all again',
      'FROM debian\nRUN apt-get update; apt-get install -y gcc; make; rm -rf /var/lib/apt/lists/*; apt-mark auto ".*"; apt-get purge -y --auto-remove\nCMD ["x"]',
      [],
    ],
    ['not when nothing is built', 'FROM alpine\nRUN apk add --no-cache make\nCMD ["x"]', []],
  ],
  PackageCacheInFinalImage: [
    ['lists of apt', 'FROM debian\nRUN apt-get update && apt-get install -y curl', ['PackageCacheInFinalImage:2']],
    [
      'lists removed too late',
      'FROM debian\nRUN apt-get update && apt-get install -y curl\nRUN rm -rf /var/lib/apt/lists/*',
      ['PackageCacheInFinalImage:2'],
    ],
    [
      'not when removed in time',
      'FROM debian\nRUN <<E\nset -e\napt-get update\napt-get install -y curl\nrm -rf /var/lib/apt/lists/*\nE',
      [],
    ],
    [
      'not with a cache mount',
      'FROM debian\nRUN --mount=type=cache,target=/var/lib/apt,sharing=locked apt-get update && apt-get install -y curl',
      [],
    ],
    [
      'not in another stage',
      'FROM debian AS b\nRUN apt-get update && apt-get install -y curl\nFROM debian\nCOPY --from=b /usr/bin/curl /',
      [],
    ],
    ['apk', 'FROM alpine\nRUN apk add curl', ['PackageCacheInFinalImage:2']],
    ['not with --no-cache anywhere', 'FROM alpine\nRUN apk --no-cache add curl && apk add --no-cache wget', []],
    ['pip, in a nested shell', `FROM python\nRUN sh -c 'pip install flask'`, ['PackageCacheInFinalImage:2']],
    ['not with the variable of pip', 'FROM python\nENV PIP_NO_CACHE_DIR=1\nRUN pip install flask', []],
    ['not with the mount of pip', 'FROM python\nRUN --mount=type=cache,target=/root/.cache/pip pip install flask', []],
    ['npm', 'FROM node\nRUN npm ci', ['PackageCacheInFinalImage:2']],
    ['a comment does not install', 'FROM alpine\nRUN <<E\n# apk add curl\necho apk add curl\nE', []],
    ['a file of another language does not either', 'FROM alpine\nRUN <<E\n#!/usr/bin/env python3\napk add curl\nE', []],
  ],
  DevDependenciesInFinalImage: [
    [
      'npm',
      'FROM node\nRUN npm ci && npm cache clean --force\nCMD ["node", "x.js"]',
      ['DevDependenciesInFinalImage:2'],
    ],
    ['not with --omit=dev', 'FROM node\nRUN npm ci --omit=dev && npm cache clean --force\nCMD ["node", "x.js"]', []],
    [
      'not for production',
      'FROM node\nENV NODE_ENV=production\nRUN npm ci && npm cache clean --force\nCMD ["node", "x.js"]',
      [],
    ],
    [
      'not when pruned',
      'FROM node\nRUN npm ci && npm run build && npm prune --omit=dev && npm cache clean --force\nCMD ["node", "x.js"]',
      [],
    ],
    [
      'not for a server of development',
      'FROM node\nRUN npm ci && npm cache clean --force\nCMD ["npm", "run", "dev"]',
      [],
    ],
    ['not of named packages', 'FROM node\nRUN npm install -g serve && npm cache clean --force\nCMD ["serve"]', []],
    [
      'from a stage with all of them',
      'FROM node AS b\nWORKDIR /app\nRUN npm ci\nFROM node\nCOPY --from=b /app /app\nCMD ["node", "x.js"]',
      ['DevDependenciesInFinalImage:5'],
    ],
    [
      'not what was built',
      'FROM node AS b\nWORKDIR /app\nRUN npm ci\nFROM node\nCOPY --from=b /app/dist /app\nCMD ["node", "x.js"]',
      [],
    ],
    ['composer', 'FROM php\nRUN composer install\nCMD ["php", "x"]', ['DevDependenciesInFinalImage:2']],
  ],
  VcsInFinalImage: [
    ['the context', 'FROM node\nCOPY . /app', ['VcsInFinalImage:2'], { contextNames: new Set(['.git']) }],
    ['not when there is none', 'FROM node\nCOPY . /app', [], { contextNames: new Set(['src']) }],
    ['not when nobody looked', 'FROM node\nCOPY . /app', []],
    ['not when it is ignored', 'FROM node\nCOPY . /app', [], { contextNames: new Set(['.git']), ignore: ['.git'] }],
    ['not when it is excluded', 'FROM node\nCOPY --exclude=.git . /app', [], { contextNames: new Set(['.git']) }],
    [
      'not in another stage',
      'FROM node AS b\nCOPY . /app\nFROM node\nCOPY --from=b /app/dist /app',
      [],
      { contextNames: new Set(['.git']) },
    ],
    [
      'through another stage',
      'FROM node AS b\nWORKDIR /app\nCOPY . .\nFROM node\nCOPY --from=b /app /app',
      ['VcsInFinalImage:5'],
      { contextNames: new Set(['.git']) },
    ],
    [
      'not when it was removed there',
      'FROM node AS b\nWORKDIR /app\nCOPY . .\nRUN rm -rf .git\nFROM node\nCOPY --from=b /app /app',
      [],
      { contextNames: new Set(['.git']) },
    ],
    ['a clone', 'FROM node\nRUN git clone https://example.org/a.git /a', ['VcsInFinalImage:2']],
    ['not when removed', 'FROM node\nRUN git clone https://example.org/a.git && make -C a && rm -rf a', []],
    [
      'ADD with its repository',
      'FROM node\nADD --keep-git-dir=true https://github.com/a/b.git /a',
      ['VcsInFinalImage:2'],
    ],
  ],
  ChangedAfterCopy: [
    ['chmod of a file', 'FROM alpine\nCOPY run.sh /\nRUN chmod 755 /run.sh', ['ChangedAfterCopy:3']],
    [
      'in the working directory',
      'FROM alpine\nWORKDIR /app\nCOPY run.sh ./\nRUN set -e; chmod +x run.sh',
      ['ChangedAfterCopy:4'],
    ],
    [
      'chown of a directory',
      'FROM alpine\nCOPY src/ /app/\nRUN adduser -D u && chown -R u:u /app',
      ['ChangedAfterCopy:3'],
    ],
    ['a directory above', 'FROM alpine\nCOPY a /srv/app/a\nRUN chown -R 1:1 /srv', ['ChangedAfterCopy:3']],
    ['a file of the copied context', 'FROM alpine\nCOPY . /app\nRUN chmod +x /app/run.sh', ['ChangedAfterCopy:3']],
    ['not what another step may have made', 'FROM alpine\nCOPY . /app\nRUN make\nRUN chmod +x /app/out/run', []],
    ['not another path', 'FROM alpine\nCOPY run.sh /\nRUN mkdir /data && chown 1 /data && chmod +x /usr/bin/x', []],
    ['not the directory alone', 'FROM alpine\nCOPY src/ /app/\nRUN chown u /app', []],
    [
      'not in another stage',
      'FROM alpine AS b\nCOPY run.sh /\nRUN chmod +x /run.sh\nFROM alpine\nCOPY --from=b /run.sh /',
      [],
    ],
    ['not behind cd', 'FROM alpine\nCOPY run.sh /\nRUN cd /x && chmod +x run.sh', []],
  ],
  CopyBeforeInstall: [
    ['npm', 'FROM node AS b\nCOPY . .\nRUN npm ci\nFROM scratch\nCOPY --from=b /a /', ['CopyBeforeInstall:3']],
    ['packages of the system', 'FROM alpine\nCOPY . /app\nRUN apk add --no-cache curl', ['CopyBeforeInstall:3']],
    [
      'pip by its file',
      'FROM python\nCOPY . /app\nRUN pip install --no-cache-dir -r /app/requirements.txt',
      ['CopyBeforeInstall:3'],
    ],
    [
      'not when the manifests came first',
      'FROM golang AS b\nCOPY go.mod go.sum ./\nRUN go mod download\nCOPY . .\nRUN go mod download && go build\nFROM scratch\nCOPY --from=b /a /',
      [],
    ],
    [
      'not with a cache mount',
      'FROM golang AS b\nCOPY . .\nRUN --mount=type=cache,target=/go/pkg go mod download\nFROM scratch\nCOPY --from=b /a /',
      [],
    ],
    ['not after a directory', 'FROM node AS b\nCOPY src ./src\nRUN npm ci\nFROM scratch\nCOPY --from=b /a /', []],
    [
      'not after a copy from a stage',
      'FROM alpine AS a\nFROM node AS b\nCOPY --from=a /x .\nRUN npm ci\nFROM scratch\nCOPY --from=b /a /',
      [],
    ],
    [
      'not of local packages',
      'FROM debian\nCOPY . .\nRUN apt-get install -y ./x.deb && rm -rf /var/lib/apt/lists/*',
      [],
    ],
  ],
  AptCacheNotLocked: [
    [
      'both directories',
      'FROM debian\nRUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt,sharing=locked apt-get install -y x',
      ['AptCacheNotLocked:2'],
    ],
    [
      'not when locked or private',
      'FROM debian\nRUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=private apt-get install -y x',
      [],
    ],
    [
      'not of other caches',
      'FROM debian\nRUN --mount=type=cache,target=/root/.cache apt-get install -y x && rm -rf /var/lib/apt/lists/*',
      [],
    ],
  ],
  HardcodedSecret: [
    ['a token', 'FROM scratch\nENV X=ghp_0123456789abcdefghijABCDEFGHIJ012345', ['HardcodedSecret:2']],
    ['before FROM', 'ARG X=AKIAABCDEFGHIJKLMNOP\nFROM scratch', ['HardcodedSecret:1']],
    ['a password in a URL', 'FROM alpine\nRUN wget https://me:hunter22@example.org/a', ['HardcodedSecret:2']],
    ['in a heredoc', 'FROM scratch\nCOPY <<a /a\n-----BEGIN RSA PRIVATE KEY-----\na', ['HardcodedSecret:3']],
    [
      'not a variable or an example',
      'FROM alpine\nRUN wget https://me:$PASS@example.org https://user:password@example.org\nENV DB=postgres://postgres:postgres@db/x',
      [],
    ],
    ['not in a comment', '# ghp_0123456789abcdefghijABCDEFGHIJ012345\n\nFROM scratch', []],
  ],
  SecretArgInFinalImage: [
    ['in a RUN', 'FROM alpine\nARG DB_PASS\nRUN x $DB_PASS\nRUN y ${DB_PASS}', ['SecretArgInFinalImage:3']],
    ['not when nothing uses it', 'FROM alpine\nARG DB_PASS\nRUN x', []],
    ['not in another stage', 'FROM alpine AS b\nARG DB_PASS\nRUN x $DB_PASS\nFROM alpine\nCOPY --from=b /x /', []],
    ['not other arguments', 'FROM alpine\nARG PATH_TO\nRUN x $PATH_TO', []],
  ],
  UnpinnedBaseImage: [
    ['no tag', 'FROM alpine', ['UnpinnedBaseImage:1'], { enable: ['UnpinnedBaseImage'] }],
    [
      'the tag latest',
      'FROM alpine AS b\nFROM debian:latest\nCOPY --from=b /a /',
      ['UnpinnedBaseImage:2'],
      { enable: ['all'] },
    ],
    ['not with a digest', `FROM alpine:latest@sha256:${'0'.repeat(64)}`, [], { enable: ['UnpinnedBaseImage'] }],
    ['not by default', 'FROM alpine', []],
  ],
};

describe.each(Object.entries(CASES))('%s', (_rule, cases) => {
  it.each(cases)('%s', async (_name, dockerfile, expected, settings) => {
    expect(await found(dockerfile, 'slipway', settings)).toEqual(expected);
  });
});

describe('what a finding says', () => {
  it.each([
    [
      'FROM golang\nRUN go build -o /out/app .\nCMD ["/out/app"]',
      'FROM golang AS build\n',
      'COPY --from=build /out/app /out/app',
    ],
    ['FROM scratch AS s\nCOPY app /out/app\nFROM alpine\nCOPY --from=s /out/ap /', 'did you mean /out/app?'],
    ['FROM alpine\nCOPY run.sh /\nRUN chmod 755 /run.sh', 'COPY --chmod=755 on line 2'],
    ['FROM alpine\nARG DB_PASS\nRUN x $DB_PASS', '--mount=type=secret,id=DB_PASS,env=DB_PASS'],
    [
      'FROM node AS b\nCOPY . .\nRUN npm ci\nFROM scratch\nCOPY --from=b /a /',
      'COPY package.json package-lock.json ./',
    ],
  ])('%s', async (dockerfile, ...hints) => {
    const { findings } = await checkFile(dockerfile);
    for (const hint of hints) expect(findings.map((finding) => finding.hint).join('\n')).toContain(hint);
  });

  it('never repeats a secret', async () => {
    const { findings } = await checkFile('FROM scratch\nENV X=ghp_0123456789abcdefghijABCDEFGHIJ012345');
    expect(JSON.stringify(findings.map(({ message, hint }) => [message, hint]))).not.toContain('ghp_');
    expect(findings[0]?.hidden).toEqual([{ start: { line: 2, column: 6 }, end: { line: 2, column: 46 } }]);
  });
});

describe('errors', () => {
  it('are found in every target, the first of each', async () => {
    expect(
      await found('FROM alpine AS dev\nCOPY --chmod=9 a /\nFROM alpine AS test\nEXPOSE x\nEXPOSE y\nFROM scratch'),
    ).toEqual(['error:2', 'error:4']);
  });

  it('of one target do not hide findings of others', async () => {
    const all = await found('FROM alpine AS test\nEXPOSE x\nFROM scratch\nENV a b');
    expect(all).toEqual(['LegacyKeyValueFormat:4', 'error:2']);
  });

  it('are those of the target alone, when one is given', async () => {
    expect(await found('FROM alpine AS test\nEXPOSE x\nFROM scratch AS b', 'any', { target: 'b' })).toEqual([]);
    expect(await found('FROM alpine AS b', 'any', { target: 'bb' })).toEqual(['error:0']);
  });
});

describe('hostile files', () => {
  const repeat = (line: (i: number) => string, count: number): string =>
    Array.from({ length: count }, (_, i) => line(i)).join('\n');

  // Quadratic, these take minutes; the limit is that of any test.
  it.each([
    [
      'one script of very many commands',
      `FROM alpine\nRUN <<E\n${repeat(() => 'true && "$(( ` chmod +x a', 50_000)}\nE`,
    ],
    [
      'very many RUNs',
      `FROM node\n${repeat((i) => `RUN npm ci && apt-get install -y gcc${i} && chmod +x /a${i}`, 3000)}\nCMD ["x"]`,
    ],
    [
      'very many copies',
      `FROM scratch AS a\n${repeat((i) => `COPY f${i} /d${i}/`, 3000)}\nFROM alpine\n${repeat((i) => `COPY --from=a /x${i} /y`, 3000)}`,
    ],
    [
      'very many stages',
      `${repeat((i) => `FROM alpine AS s${i}\nRUN true`, 2000)}\nFROM alpine\n${repeat((i) => `COPY --from=s${i * 2} /a /`, 900)}`,
    ],
    ['a deep chain of stages', `FROM alpine AS s0\n${repeat((i) => `FROM s${i} AS s${i + 1}\nENV a${i} b`, 2000)}`],
    [
      'very many unknown names',
      `${repeat(() => 'FROM alpine', 1000)}\nFROM alpine\n${repeat((i) => `COPY --from=name${i} /a /`, 1000)}`,
    ],
  ])('%s', async (_name, text) => {
    const { findings } = await checkFile(text);
    expect(findings.length).toBeGreaterThanOrEqual(0);
  });
});
