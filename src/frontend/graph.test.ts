import { createHash } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { marshal } from '../llb/index.ts';
import { convert, failure, fakeResolver, IMAGE, names, vertexNamed } from './testing.ts';

describe('stages', () => {
  it('are found by name in any case, by number, and as a base', async () => {
    const result = await convert(
      `FROM golang AS Build
RUN go build
FROM build AS test
RUN go test
FROM alpine
COPY --from=BUILD /a /a
COPY --from=0 /b /b
COPY --from=test /c /c`,
    );
    expect(names(result)).toEqual([
      `[stage-2 1/4] FROM docker.io/library/alpine:latest@${IMAGE}`,
      `[build 1/2] FROM docker.io/library/golang:latest@${IMAGE}`,
      '[build 2/2] RUN go build',
      '[stage-2 2/4] COPY --from=BUILD /a /a',
      '[stage-2 3/4] COPY --from=0 /b /b',
      '[test 1/1] RUN go test',
      '[stage-2 4/4] COPY --from=test /c /c',
    ]);
    expect(result.stages.map(({ index, name, baseName }) => [index, name, baseName])).toEqual([
      [0, 'build', 'golang'],
      [1, 'test', 'build'],
      [2, 'stage-2', 'alpine'],
    ]);
    expect(result.target.index).toBe(2);
    expect(result.stages[1]?.base).toEqual(result.stages[0]?.result);
  });

  it('that are not needed are neither resolved nor in the graph, and may be wrong', async () => {
    const resolver = fakeResolver();
    const result = await convert(
      `FROM nowhere/missing:1 AS unused
RUN x
FROM scratch AS broken
COPY --from=later /a /
FROM busybox AS later
FROM alpine
RUN y`,
      { resolver },
    );
    expect(resolver.asked).toEqual(['docker.io/library/alpine:latest linux/amd64']);
    expect(result.stages.map(({ index }) => index)).toEqual([3]);
    expect(names(result)).toHaveLength(2);
  });

  it.each([
    ['build', 0],
    ['BUILD', 0],
    ['1', 1],
    ['stage-1', 1],
    [undefined, 2],
    ['', 2],
  ])('are targets: %s', async (target, index) => {
    const result = await convert('FROM a AS build\nFROM b\nFROM c AS last', { target });
    expect(result.target.index).toBe(index);
    expect(result.stages).toHaveLength(1);
  });

  it('of one name: the last counts for copies, the one above for FROM', async () => {
    const error = await failure('FROM a AS x\nFROM scratch AS y\nCOPY --from=x / /\nFROM b AS x\nFROM y');
    expect(error.message).toContain('comes after');
    const result = await convert('FROM a AS x\nRUN 1\nFROM x AS y\nRUN 2\nFROM b AS x\nFROM y');
    expect(names(result)[0]).toContain('library/a');
  });

  it('resolve their images in parallel', async () => {
    let open = 0;
    let most = 0;
    const inner = fakeResolver();
    const resolver: typeof inner = {
      ...inner,
      async resolveImage(...args) {
        most = Math.max(most, ++open);
        await new Promise((resolve) => setImmediate(resolve));
        open--;
        return inner.resolveImage(...args);
      },
    };
    await convert('FROM a AS x\nFROM b AS y\nFROM c\nCOPY --from=x / /\nCOPY --from=y / /\nCOPY --from=d / /', {
      resolver,
    });
    expect(most).toBe(4);
  });

  it('ask for an image once, however often it is copied from', async () => {
    const resolver = fakeResolver();
    const result = await convert('FROM scratch\nCOPY --from=busybox /a /\nCOPY --from=busybox /b /', { resolver });
    expect(resolver.asked).toHaveLength(1);
    expect(names(result)).toEqual([
      `FROM docker.io/library/busybox:latest@${IMAGE}`,
      '[stage-0 1/2] COPY --from=busybox /a /',
      '[stage-0 2/2] COPY --from=busybox /b /',
    ]);
  });

  it('always give the same bytes', async () => {
    // Bytes of definitions name results in users' stores: they may never change without need.
    const text = `ARG BASE=alpine
FROM golang:1 AS build
ENV A=1
WORKDIR /src
COPY --chown=me go.* ./
RUN --mount=type=cache,target=/root/.cache --mount=type=secret,id=t <<E
go build -o /out/app
E
FROM $BASE
COPY --link --from=build /out/app /usr/bin/
ENTRYPOINT ["app"]`;
    const resolver = fakeResolver({ 'docker.io/library/golang:1': {} });
    const hash = async (): Promise<string> =>
      createHash('sha256')
        .update(marshal((await convert(text, { resolver })).definition))
        .digest('hex');
    expect(await hash()).toBe(await hash());
    expect(await hash()).toMatchInlineSnapshot(`"6da282a187815220084de517f932d789c95149804a3bec4230aed35c487016d5"`);
  });

  it('FROM scratch without instructions is an empty definition', async () => {
    const result = await convert('FROM scratch');
    expect(result.definition).toEqual({ result: undefined, vertices: [] });
    expect(result.target.result).toBeUndefined();
  });
});

describe('mistakes are found before anything is resolved', () => {
  const cases: readonly (readonly [
    name: string,
    dockerfile: string,
    code: string,
    message: RegExp,
    hint: RegExp,
    line: number | undefined,
  ])[] = [
    ['an unknown target', 'FROM a AS builder', 'stage', /target stage "buidler"/, /did you mean builder\?/, undefined],
    [
      'a stage that copies from itself',
      'FROM a AS x\nCOPY --from=x / /',
      'stage',
      /stage x copies from itself/,
      /earlier stage/,
      2,
    ],
    ['its own number', 'FROM a\nCOPY --from=0 / /', 'stage', /stage stage-0 copies from itself/, /earlier/, 2],
    [
      'a mount of itself',
      'FROM a AS x\nRUN --mount=from=x,target=/x true',
      'stage',
      /copies from itself/,
      /earlier/,
      2,
    ],
    [
      'a later stage',
      'FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nFROM x',
      'stage',
      /cannot copy from stage y \(line 3\): it comes after stage x/,
      /move stage y above line 1/,
      2,
    ],
    [
      'a circle',
      'FROM a AS x\nCOPY --from=y / /\nFROM b AS y\nCOPY --from=x / /',
      'stage',
      /circular dependency of stages: x needs y needs x/,
      /above/,
      4,
    ],
    [
      'a number out of range',
      'FROM a\nFROM b\nCOPY --from=2 / /',
      'stage',
      /--from=2 names no stage: the file has stages 0 to 1/,
      /from 0/,
      3,
    ],
    [
      'a variable in --from',
      'ARG X\nFROM a\nCOPY --from=$X / /',
      'dockerfile',
      /--from=\$X: variables/,
      /FROM \$NAME AS alias/,
      3,
    ],
    [
      'a name that no stage has, where one has none',
      'FROM golang:latest\nRUN go build\nFROM alpine\nCOPY --from=build /a /a',
      'stage',
      /^--from=build names no stage; stage 0 \(golang:latest, line 1\) has no name$/,
      /^add `AS build` to line 1, or use `--from=0`$/,
      4,
    ],
    [
      'the same for a mount',
      'FROM golang\nFROM alpine\nRUN --mount=from=build,target=/b true',
      'stage',
      /stage 0 \(golang, line 1\) has no name/,
      /AS build/,
      3,
    ],
    [
      'a number in a mount',
      'FROM golang\nFROM alpine\nRUN --mount=from=0,target=/b true',
      'stage',
      /takes the name of a stage, not its number 0/,
      /add `AS name` to line 1/,
      3,
    ],
    [
      'a stage name that no context can have',
      'FROM golang AS build_',
      'dockerfile',
      /"build_" cannot be the name of a stage/,
      /letters and digits/,
      1,
    ],
    [
      'a typo',
      'FROM a AS builder\nFROM b\nCOPY --from=bulider / /',
      'stage',
      /--from=bulider names no stage/,
      /did you mean stage `builder`\?/,
      3,
    ],
    ['an empty FROM', 'ARG X\nFROM ${X}', 'dockerfile', /base name \$\{X\} is empty/, /--build-arg/, 2],
    [
      'an unset variable in --platform',
      'FROM --platform=$X a',
      'dockerfile',
      /--platform=\$X is empty/,
      /TARGETPLATFORM/,
      1,
    ],
    ['a platform that is none', 'FROM --platform=what a', 'dockerfile', /"what" is not a platform/, /linux\/amd64/, 1],
    [
      'a stage name in capitals after FROM',
      'FROM a AS base\nFROM Base',
      'dockerfile',
      /must be lowercase/,
      /did you mean stage `base`\?/,
      2,
    ],
    ['an unknown modifier', 'FROM a${X!y}', 'dockerfile', /cannot expand/, /./, 1],
    [
      'a bad epoch',
      'ARG SOURCE_DATE_EPOCH=yesterday\nFROM a',
      'usage',
      /SOURCE_DATE_EPOCH is "yesterday"/,
      /git log/,
      undefined,
    ],
  ];

  it.each(cases)('%s', async (_, dockerfile, code, message, hint, line) => {
    const resolver = fakeResolver();
    const target = code === 'stage' && line === undefined ? 'buidler' : undefined;
    const error = await failure(dockerfile, { resolver, target });
    expect(error.code).toBe(code);
    expect(error.message).toMatch(message);
    expect(error.hint).toMatch(hint);
    expect(error.location?.ranges[0]?.start.line).toBe(line);
    expect(resolver.asked).toEqual([]);
  });

  it.each([
    ['an image of note', 'FROM golang\nFROM alpine\nCOPY --from=busybox / /'],
    ['a name with a tag', 'FROM golang\nFROM alpine\nCOPY --from=build:latest / /'],
    ['a name with a path', 'FROM golang\nFROM alpine\nCOPY --from=me/build:latest / /'],
    ['an unnamed stage that is used by number', 'FROM golang\nFROM alpine\nCOPY --from=0 / /\nCOPY --from=build / /'],
    ['no unnamed stage above', 'FROM golang AS xyz\nFROM alpine\nCOPY --from=build / /'],
    ['the only unnamed one is the stage itself', 'FROM alpine\nCOPY --from=build / /'],
  ])('not: %s', async (_, dockerfile) => {
    await expect(convert(dockerfile)).resolves.toBeDefined();
  });

  it('a named context is no mistake', async () => {
    const result = await convert('FROM golang\nFROM alpine\nCOPY --from=build /a /', {
      contexts: { build: { kind: 'local', sourceName: 'build', excludes: [] } },
    });
    expect(vertexNamed(result, '[context build] load from client').op).toMatchObject({ identifier: 'local://build' });
  });

  it('an image that is not there suggests the stage that was meant', async () => {
    const error = await failure('FROM a AS builder\nFROM biulder:1');
    expect(error).toMatchObject({ code: 'image-not-found', hint: undefined });
    const near = await failure('FROM a AS build.er\nFROM build.erx:1');
    expect(near.code).toBe('image-not-found');
  });
});

describe('names of steps', () => {
  it('leave out the stage when there is but one', async () => {
    const result = await convert('FROM alpine\nWORKDIR /w\nENV A=1\nCOPY a .\nRUN true');
    expect(names(result)).toEqual([
      `[1/4] FROM docker.io/library/alpine:latest@${IMAGE}`,
      '[2/4] WORKDIR /w',
      '[internal] load build context',
      '[3/4] COPY a .',
      '[4/4] RUN true',
    ]);
  });

  it('pad numbers, count no scratch, show values that are set', async () => {
    const lines = Array.from({ length: 9 }, (_, i) => `RUN ${i}`).join('\n');
    const result = await convert(`FROM alpine\nARG v=1\n${lines}\nrun echo "$v" \${u} '$v'`);
    expect(names(result)[1]).toBe('[ 2/11] RUN 0');
    expect(names(result).at(-1)).toBe('[11/11] RUN echo "1" ${u} \'$v\'');
    expect(names(await convert('FROM scratch\nCOPY a /'))).toEqual(['[internal] load build context', '[1/1] COPY a /']);
  });

  it('every vertex but the context has its place', async () => {
    const result = await convert(
      'FROM a AS x\nRUN <<E\n#!/bin/sh\nE\nFROM b\nCOPY --link --from=x /a /b\nCOPY <<F /f\n1\nF\nCOPY . /',
    );
    const places = result.definition.vertices.map(({ metadata }) => metadata.location?.ranges[0]?.start.line);
    expect(places).toEqual([5, 1, 2, 2, 6, 6, 7, 7, undefined, 10]);
  });
});
