import { describe, expect, it } from 'vitest';
import { convert, fakeResolver } from '../testing.ts';
import type { CheckSettings } from './testing.ts';
import { checkFile, found } from './testing.ts';

type Case = [name: string, dockerfile: string, expected: readonly string[], settings?: CheckSettings];

// BuildKit's own cases (frontend/dockerfile/dockerfile_check_test.go), in short, and what `docker build --check` says of others.
const CASES: readonly Case[] = [
  [
    'FromAsCasing and StageNameCasing',
    'FROM scratch AS Bad\nFROM scratch as b\nFROM scratch AS c',
    ['StageNameCasing:1', 'FromAsCasing:2'],
  ],
  ['AS below a lower-case from', 'from scratch AS base\nfrom scratch as base2', ['FromAsCasing:1']],
  [
    'no FromAsCasing below a From of mixed case',
    'From scratch as base\nFROM scratch AS base2',
    ['ConsistentInstructionCasing:1'],
  ],
  ['NoEmptyContinuation', 'FROM scratch\nCOPY a \\\n\n.\nCOPY a \\\n.', ['NoEmptyContinuation:3']],
  ['no comment is an empty continuation', 'FROM scratch\nCOPY a \\\n# b\n.', []],
  ['the upper-case majority', 'FROM scratch\ncopy a /b\nCOPY a /c', ['ConsistentInstructionCasing:2']],
  ['the lower-case majority', 'from scratch\nCOPY a /b\ncopy a /c', ['ConsistentInstructionCasing:2']],
  ['upper case, where both are as many', 'from scratch\nCOPY a /b', ['ConsistentInstructionCasing:1']],
  ['all in lower case', 'from scratch\ncopy a /b', []],
  ['keywords in heredocs are no instructions', "FROM alpine\nRUN <<'E'\nenv\nE", []],
  ['ARG before FROM does not count for the casing', 'arg a=1\nFROM scratch\nCOPY a /b', []],
  [
    'DuplicateStageName in any case',
    'FROM scratch AS b\nFROM scratch AS B',
    ['StageNameCasing:2', 'DuplicateStageName:2'],
  ],
  [
    'ReservedStageName',
    'FROM scratch AS scratch\nFROM busybox AS context',
    ['ReservedStageName:1', 'ReservedStageName:2'],
  ],
  ['scratch as a base is none', 'FROM scratch\nFROM scratch AS a', []],
  ['JSONArgsRecommended', 'FROM scratch\nCMD a\nENTRYPOINT b', ['JSONArgsRecommended:2', 'JSONArgsRecommended:3']],
  ['a SHELL says that the shell is meant', 'FROM scratch\nSHELL ["/s"]\nCMD a', []],
  ['the SHELL of the stage below, too', 'FROM scratch AS b\nSHELL ["/s"]\nFROM b\nCMD a', []],
  ['a SHELL after it does not', 'FROM scratch\nENTRYPOINT a\nSHELL ["/s"]\nCMD b', ['JSONArgsRecommended:2']],
  ['HEALTHCHECK may be in shell form', 'FROM scratch\nHEALTHCHECK CMD a', []],
  ['a bad JSON form is a shell form', "FROM scratch\nCMD ['a']", ['JSONArgsRecommended:2']],
  ['MaintainerDeprecated', 'FROM scratch\nMAINTAINER me', ['MaintainerDeprecated:2']],
  ['a declared argument in FROM', 'ARG base=scratch\nFROM $base', []],
  ['an argument of the platform', 'FROM --platform=$BUILDPLATFORM scratch', []],
  ['an argument without a value', 'ARG D\nFROM scratch${D}', []],
  ['UndefinedArgInFrom', 'ARG tag=latest\nFROM busybox:${tag}${version} AS b', ['UndefinedArgInFrom:2']],
  ['UndefinedArgInFrom of the platform', 'FROM --platform=$BULIDPLATFORM scratch', ['error:1']],
  ['WorkdirRelativePath', 'FROM scratch\nWORKDIR app/', ['WorkdirRelativePath:2']],
  ['an absolute WORKDIR of the stage below', 'FROM scratch AS a\nWORKDIR /app\nFROM a\nWORKDIR sub', []],
  ['only the first of several', 'FROM scratch\nWORKDIR a\nWORKDIR b', ['WorkdirRelativePath:2']],
  ['UndefinedVar in a COPY', 'FROM alpine\nCOPY $foo .\nARG foo=bar\nRUN echo $foo', ['UndefinedVar:2']],
  ['an ARG without a value is declared', 'FROM scratch\nARG foo\nCOPY a${foo} .', []],
  ['an ARG of the stage below', 'FROM alpine AS b\nARG foo=a\nFROM b\nCOPY $foo .', []],
  ['RUN is the business of its shell', 'FROM alpine\nRUN echo $NOBODY', []],
  ['PATH is always set', 'FROM alpine\nENV PATH=$PATH:/x', []],
  ['a slip of PATH', 'FROM alpine\nENV PATH=$PAHT:/x', ['UndefinedVar:2']],
  [
    'a default does not define it',
    'FROM alpine\nCOPY ${foo:-x} ${bar-y} ${baz:+q} .',
    ['UndefinedVar:2', 'UndefinedVar:2', 'UndefinedVar:2'],
  ],
  [
    'UndefinedVar wherever variables are expanded',
    'FROM alpine\nRUN --mount=type=cache,target=/x/$a true\nEXPOSE $b 80\nLABEL a=$c\nUSER $d\nARG e=$f\nENV $g=$h k=1\nCOPY <<E /y\n$i\nE\nCOPY <<"E" /y\n$j\nE',
    [
      'UndefinedVar:2',
      'UndefinedVar:4',
      'UndefinedVar:5',
      'UndefinedVar:6',
      'UndefinedVar:7',
      'UndefinedVar:7',
      'UndefinedVar:8',
    ],
  ],
  [
    'arguments of the SBOM scanner are no variables',
    'FROM scratch\nARG BUILDKIT_SBOM_SCAN_STAGE=true\nCOPY a${BUILDKIT_SBOM_SCAN_STAGE} /',
    [],
  ],
  [
    'MultipleInstructionsDisallowed points to those without effect',
    'FROM scratch\nENTRYPOINT ["a"]\nENTRYPOINT ["b"]\nCMD ["a"]\nHEALTHCHECK NONE\nCOPY a /\nCMD ["b"]\nHEALTHCHECK CMD ["b"]',
    ['MultipleInstructionsDisallowed:2', 'MultipleInstructionsDisallowed:4', 'MultipleInstructionsDisallowed:5'],
  ],
  ['each stage has its own', 'FROM scratch AS a\nCMD ["a"]\nFROM a\nCMD ["b"]', []],
  ['LegacyKeyValueFormat', 'FROM scratch\nENV a b\nLABEL a b', ['LegacyKeyValueFormat:2', 'LegacyKeyValueFormat:3']],
  ['the form with =', 'FROM scratch\nENV a=b\nLABEL a=b', []],
  ['ONBUILD is carried out elsewhere', 'FROM alpine\nONBUILD CMD x\nONBUILD ENV a b', []],
  [
    'ONBUILD of a stage is carried out at FROM',
    'FROM alpine AS b\nONBUILD ENV a b\nFROM b',
    ['LegacyKeyValueFormat:3'],
  ],
  [
    'RedundantTargetPlatform',
    'FROM --platform=$TARGETPLATFORM scratch\nFROM --platform=${TARGETPLATFORM} scratch',
    ['RedundantTargetPlatform:1', 'RedundantTargetPlatform:2'],
  ],
  ['a part of the platform is not', 'FROM --platform=$TARGETOS/$TARGETARCH scratch', []],
  ['FromPlatformFlagConstDisallowed', 'FROM --platform=linux/amd64 scratch', ['FromPlatformFlagConstDisallowed:1']],
  [
    'a name that says it',
    'FROM --platform=linux/amd64 scratch AS my_amd64\nFROM --platform=linux/amd64 scratch AS linux',
    [],
  ],
  ['InvalidDefaultArgInFrom', 'ARG V\nFROM busybox:$V', ['InvalidDefaultArgInFrom:2'], { buildArgs: { V: 'latest' } }],
  ['an empty name', 'ARG IMAGE\nFROM $IMAGE', ['InvalidDefaultArgInFrom:2'], { buildArgs: { IMAGE: 'busybox' } }],
  ['a name cut off', 'ARG S="box:"\nFROM busy${S}', ['InvalidDefaultArgInFrom:2'], { buildArgs: { S: 'box:latest' } }],
  ['a default that may be empty', 'ARG S\nFROM busybox:stable${S}', [], { buildArgs: { S: '-musl' } }],
  [
    'ExposeProtoCasing',
    'FROM scratch\nEXPOSE 80/TcP 8080/TCP 8080/udp',
    ['ExposeProtoCasing:2', 'ExposeProtoCasing:2'],
  ],
  [
    'ExposeInvalidFormat',
    'FROM scratch\nEXPOSE 127.0.0.1:80:80 [::1]:8080:8080 5000:5000 8000',
    ['ExposeInvalidFormat:2', 'ExposeInvalidFormat:2', 'ExposeInvalidFormat:2'],
  ],
  [
    'CopyIgnoredFile',
    'FROM scratch\nCOPY Dockerfile .\nADD ./Dockerfile /w',
    ['CopyIgnoredFile:2', 'CopyIgnoredFile:3'],
    { ignore: ['Dockerfile'] },
  ],
  [
    'files of a stage are not ignored',
    'FROM scratch AS b\nCOPY a /foobar\nFROM b\nCOPY --from=b /foobar /a',
    [],
    { ignore: ['foobar'] },
  ],
  ['a file taken in again', 'FROM scratch\nCOPY ./Dockerfile .\nCOPY . /a', [], { ignore: ['**', '!Dockerfile'] }],
  ['the root, where some is ignored', 'FROM scratch\nCOPY . .', [], { ignore: ['.*'] }],
  ['the root, where all is ignored', 'FROM scratch\nCOPY . .', ['CopyIgnoredFile:2'], { ignore: ['*'] }],
  [
    'a negation of a sibling',
    'FROM scratch\nCOPY sub/a.txt /',
    ['CopyIgnoredFile:2'],
    { ignore: ['sub', '!sub/b.txt'] },
  ],
  [
    'a negation before the exclusion',
    'FROM scratch\nCOPY sub/a.txt /',
    ['CopyIgnoredFile:2'],
    { ignore: ['!sub/b.txt', 'sub'] },
  ],
  [
    'a directory of which some is taken in',
    'FROM scratch\nCOPY sub /sub\nCOPY sub/*.txt /',
    [],
    { ignore: ['sub', '!sub/a.txt'] },
  ],
  ['an escaped negation', 'FROM scratch\nCOPY su.b /sub', [], { ignore: ['su.b', '!su\\.b/keep.txt'] }],
  ['URLs are not in the context', 'FROM scratch\nADD https://example.org/a /', [], { ignore: ['*'] }],
  [
    'SecretsUsedInArgOrEnv',
    'FROM scratch\nARG SECRET_PASSPHRASE\nENV SUPER_Secret=a\nENV password=a secret=b\nENV git_key= flower=1\nENV PUBLIC_KEY=\nARG secret_FILE AUTH_MODULE_VERSION monkey',
    [
      'SecretsUsedInArgOrEnv:2',
      'SecretsUsedInArgOrEnv:3',
      'SecretsUsedInArgOrEnv:4',
      'SecretsUsedInArgOrEnv:4',
      'SecretsUsedInArgOrEnv:5',
    ],
  ],
  ['descriptions are not looked at by default', '# of something\nARG foo=bar\n# x\nFROM scratch AS base', []],
  [
    'InvalidDefinitionDescription, when it is asked for',
    '# check=experimental=all\n# bar it is\nARG foo=1\n# BasE it is\nFROM busybox:1 AS base\n# bad\nARG version=1\n# bad\nARG a=1 b=2\n#\nARG c=1\n\n# x\n\nARG d=1\n# e it is\nARG e=1\n# for copy\nCOPY a /',
    [
      'InvalidDefinitionDescription:3',
      'InvalidDefinitionDescription:5',
      'InvalidDefinitionDescription:7',
      'InvalidDefinitionDescription:9',
    ],
  ],
];

describe("BuildKit's rules", () => {
  it.each(CASES)('%s', async (_name, dockerfile, expected, settings) => {
    expect(await found(dockerfile, 'buildkit', settings)).toEqual(expected);
  });

  it('are looked at in every stage without a target, in what it needs with one', async () => {
    const file = 'FROM scratch AS a\nFROM a AS b\nENV k v\nFROM a AS c\nENV k v';
    expect(await found(file, 'buildkit')).toEqual(['LegacyKeyValueFormat:3', 'LegacyKeyValueFormat:5']);
    expect(await found(file, 'buildkit', { target: 'c' })).toEqual(['LegacyKeyValueFormat:5']);
  });
});

describe('variables of an image that nobody asked about', () => {
  it.each([
    ['may be set by the image', 'FROM golang\nENV X=$GOPATH/bin Y=$GOLANG_VERSION', []],
    ['are not, when the stage declares them later', 'FROM golang\nCOPY $SRC /\nARG SRC', ['UndefinedVar:2']],
    ['are not, when they are one letter off', 'FROM golang\nARG DIR_ASSETS=a\nCOPY $DIR_ASSET /', ['UndefinedVar:3']],
    ['may be like another one', 'FROM php\nARG APP_VERSION=1\nLABEL v=$PHP_VERSION', []],
    [
      'are not, when only the global scope declares them',
      'ARG VERSION=1\nFROM golang\nCOPY v$VERSION /',
      ['UndefinedVar:3'],
    ],
    ['may be a working directory', 'FROM golang\nWORKDIR $GOPATH/src', []],
  ] as const)('%s', async (_name, dockerfile, expected) => {
    expect(await found(dockerfile, 'buildkit')).toEqual(expected);
  });

  it('are no reason for an error', async () => {
    expect(await found('FROM nginx\nEXPOSE $PORT\nVOLUME $DATA')).toEqual([]);
    expect(await found('FROM scratch\nEXPOSE $PORT/tcp\nFROM golang', 'buildkit')).toEqual(['error:2']);
  });

  it('are known in a build', async () => {
    const resolver = fakeResolver({ 'docker.io/library/golang:latest': { Env: ['GOPATH=/go'], Shell: ['/bin/bash'] } });
    const { warnings } = await convert('FROM golang\nENV X=$GOPATH Y=$GOROOT\nCMD a', { resolver });
    expect(warnings.map(({ rule, message }) => [rule, message])).toEqual([
      ['UndefinedVar', 'nothing sets the variable GOROOT'],
    ]);
  });
});

describe('# check=', () => {
  const file = (line: string): string => `${line}\nFROM scratch as base\ncopy Dockerfile .\n`;
  const both = ['FromAsCasing:2', 'ConsistentInstructionCasing:3'];

  it.each([
    ['#none', both],
    ['#check=skip=all', []],
    ['# check=skip=all;error=true', []],
    ['# check=skip=ConsistentInstructionCasing,FromAsCasing', []],
    ['# check = skip = ConsistentInstructionCasing , FromAsCasing ; error = true', []],
    ['#check=skip=ConsistentInstructionCasing', ['FromAsCasing:2']],
    ['#check=skip=Unknown', both],
    ['#check=skip=fromascasing', both],
  ])('%s', async (line, expected) => {
    expect(await found(file(line))).toEqual(expected);
  });

  it.each([
    ['# check=skip', '"skip" is no option of checks'],
    ['# check=foo=1', '"foo=1" is no option of checks'],
    ['# check=error=maybe', '"error=maybe" is no option of checks'],
    ['# check=skip=A;error=true;experimental=B;error=true', '"experimental=B;error=true" is no option'],
  ])('%s is refused', async (line, message) => {
    const { errors } = await checkFile(file(line));
    expect(errors.map((error) => error.message)).toEqual(
      message.includes('experimental') ? [] : [expect.stringContaining(message)],
    );
  });

  it('gives way to BUILDKIT_DOCKERFILE_CHECK', async () => {
    const args = { BUILDKIT_DOCKERFILE_CHECK: 'skip=ConsistentInstructionCasing' };
    expect(await found(file('# check=skip=all'), 'any', { buildArgs: args })).toEqual(['FromAsCasing:2']);
  });

  it.each([
    ['the named rule', 'FROM scratch\n# check=skip=LegacyKeyValueFormat\nENV a b\nENV c d', ['LegacyKeyValueFormat:4']],
    ['all rules', 'FROM scratch\n# check=skip=all // here only\nENV password a', []],
    ['a rule with a reason', 'FROM scratch\n# check=skip=JSONArgsRecommended // on purpose\nCMD a', []],
    ['no other rule', 'FROM scratch\n# check=skip=Other\nENV a b', ['LegacyKeyValueFormat:3']],
    ['nothing over a blank line', 'FROM scratch\n# check=skip=all\n\nENV a b', ['LegacyKeyValueFormat:4']],
    ['a rule of FROM', '\n# check=skip=RedundantTargetPlatform\nFROM --platform=$TARGETPLATFORM scratch', []],
    [
      'what is off, the other way round',
      'FROM scratch\n# check=experimental=InvalidDefinitionDescription\nARG a\n# x\nARG b',
      ['InvalidDefinitionDescription:3'],
    ],
  ] as const)('above an instruction turns off %s', async (_name, dockerfile, expected) => {
    expect(await found(dockerfile)).toEqual(expected);
  });

  it('error=true fails a build, with all rules named', async () => {
    const error = await convert(file('# check=error=true')).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject({
      code: 'dockerfile',
      message: 'checks failed: FromAsCasing, ConsistentInstructionCasing',
      location: { ranges: [{ start: { line: 2 } }] },
    });
    expect(
      (await convert(file('# check=error=true'), { buildArgs: { BUILDKIT_DOCKERFILE_CHECK: 'skip=all' } })).warnings,
    ).toEqual([]);
  });
});

describe('a build', () => {
  it("warns as BuildKit does, by its rules alone, with Docker's pages", async () => {
    const { warnings } = await convert(
      'FROM debian as a\nRUN apt-get install -y gcc && make\nCMD ["x"]\nFROM a AS unused',
    );
    expect(warnings).toEqual([
      {
        rule: 'FromAsCasing',
        message: 'as is not in the case of FROM',
        hint: 'write AS',
        url: 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/',
        location: expect.objectContaining({
          ranges: [{ start: { line: 1, column: 12 }, end: { line: 1, column: 14 } }],
        }) as unknown,
      },
    ]);
  });

  it('looks at the stages that it needs', async () => {
    const { warnings } = await convert('FROM scratch AS a\nENV a b\nFROM scratch\nCOPY a /');
    expect(warnings).toEqual([]);
  });
});
