import type { LanguageCase } from './types.ts';

export const CONFIG_CASES: readonly LanguageCase[] = [
  {
    name: 'WORKDIR makes directories of the user, with all parents',
    dockerfile:
      'FROM @base\nRUN mkdir /have && chown 9:9 /have\nUSER app\nWORKDIR /have\nWORKDIR made/deep\nUSER 5:6\nWORKDIR /x/y\nWORKDIR /x\nUSER 7\nWORKDIR /z',
  },
  {
    name: 'WORKDIR of the root is no layer, any other is one',
    dockerfile: 'FROM @base\nWORKDIR /\nWORKDIR /etc\nWORKDIR /new\nWORKDIR /new\nWORKDIR .',
  },
  {
    name: 'WORKDIR through a link',
    dockerfile:
      'FROM @base\nRUN mkdir -p /real && ln -s /real /l\nWORKDIR /l/in\nRUN pwd > /p\nCOPY a .\nWORKDIR /l\nRUN pwd > /q',
    files: { a: 'a' },
  },
  { name: 'WORKDIR where a file is', dockerfile: 'FROM @base\nRUN touch /f\nWORKDIR /f/x' },
  { name: 'WORKDIR of nothing', dockerfile: 'FROM @base\nWORKDIR' },
  { name: 'WORKDIR with two words', dockerfile: 'FROM @base\nWORKDIR /a b\nRUN pwd > /p' },
  { name: 'WORKDIR of an empty variable', dockerfile: 'FROM @base\nWORKDIR $none\nWORKDIR /a\nWORKDIR ${none}' },
  {
    name: 'WORKDIR with slashes and dots',
    dockerfile: 'FROM scratch\nWORKDIR //a//b/./c/../d/\nWORKDIR ../../../../../e',
  },
  {
    name: 'USER is who it is',
    dockerfile:
      'FROM @base\nRUN id > /tmp/0\nUSER app\nRUN id > /tmp/1\nUSER 1000\nRUN id > /tmp/2\nUSER app:extra\nRUN id > /tmp/3\nUSER 4321\nRUN id > /tmp/4\nUSER 5:6\nRUN id > /tmp/5\nUSER 1000:app\nRUN id > /tmp/6\nUSER root\nRUN id > /tmp/7',
  },
  { name: 'USER that nobody knows is kept, but cannot run', dockerfile: 'FROM @base\nUSER ghost\nLABEL a=1' },
  { name: 'USER that nobody knows cannot run', dockerfile: 'FROM @base\nUSER ghost\nRUN true' },
  { name: 'USER with a group that nobody knows cannot run', dockerfile: 'FROM @base\nUSER app:ghosts\nRUN true' },
  { name: 'USER of nothing', dockerfile: 'FROM @base\nUSER' },
  {
    name: 'HOME of users',
    dockerfile:
      'FROM @base\nRUN echo "$HOME" > /tmp/0\nUSER app\nRUN echo "<$HOME>" > /tmp/1\nUSER 99\nRUN echo "<$HOME>" > /tmp/2\nENV HOME=/h\nRUN echo "<$HOME>" > /tmp/3',
  },
  { name: 'the last CMD counts', dockerfile: 'FROM scratch\nCMD a\nCMD ["b"]\nCMD ["c", "d"]' },
  { name: 'CMD in its shell form', dockerfile: 'FROM scratch\nCMD echo "a  b" $c && d' },
  { name: 'CMD with a JSON that is none', dockerfile: "FROM scratch\nCMD ['a', 'b']\nENTRYPOINT [\"a\", b]" },
  { name: 'CMD of nothing', dockerfile: 'FROM scratch\nCMD []\nENTRYPOINT []' },
  { name: 'CMD with an empty line', dockerfile: 'FROM scratch\nCMD' },
  { name: 'CMD with a number', dockerfile: 'FROM scratch\nCMD ["a", 1]' },
  { name: 'CMD with escapes of JSON', dockerfile: 'FROM scratch\nCMD ["a\\tb", "\\u00fc", "c\\\\d", "e\\"f"]' },
  {
    name: 'ENTRYPOINT takes the CMD of the base away',
    dockerfile: 'FROM @base AS b\nCMD ["b"]\nFROM b\nENTRYPOINT ["e"]',
  },
  { name: 'ENTRYPOINT leaves a CMD of its own stage', dockerfile: 'FROM @base\nCMD ["b"]\nENTRYPOINT ["e"]' },
  {
    name: 'ENTRYPOINT of a base stays, with a CMD',
    dockerfile: 'FROM @base AS b\nENTRYPOINT ["e"]\nCMD ["b"]\nFROM b\nCMD ["c"]',
  },
  {
    name: 'SHELL is for what follows',
    dockerfile:
      'FROM @base\nRUN echo "$0" > /0\nCMD a\nSHELL ["/bin/sh", "-ec"]\nRUN echo "$-" | grep -o e > /1\nCMD b\nSHELL ["/bin/busybox", "sh", "-c"]\nENTRYPOINT c\nHEALTHCHECK CMD d',
  },
  {
    name: 'SHELL of a base stage',
    dockerfile: 'FROM @base AS b\nSHELL ["/bin/sh", "-uc"]\nFROM b\nRUN echo "$-" | grep -o u > /1\nCMD x',
  },
  { name: 'SHELL in words', dockerfile: 'FROM scratch\nSHELL /bin/sh -c' },
  {
    name: 'HEALTHCHECK with all options',
    dockerfile:
      'FROM scratch\nHEALTHCHECK --interval=1m30s --timeout=500ms --start-period=1h --start-interval=2s --retries=5 CMD ["a", "b"]',
  },
  {
    name: 'HEALTHCHECK in the shell form',
    dockerfile: 'FROM scratch\nHEALTHCHECK --interval=5s CMD curl -f http://x || exit 1',
  },
  { name: 'HEALTHCHECK NONE', dockerfile: 'FROM scratch AS b\nHEALTHCHECK CMD a\nFROM b\nHEALTHCHECK NONE' },
  { name: 'HEALTHCHECK in lower case', dockerfile: 'FROM scratch\nhealthcheck --retries=0 cmd a' },
  {
    name: 'HEALTHCHECK that is inherited',
    dockerfile: 'FROM scratch AS b\nHEALTHCHECK --retries=2 CMD a\nFROM b\nHEALTHCHECK --timeout=3s CMD b',
  },
  { name: 'HEALTHCHECK with a duration that is none', dockerfile: 'FROM scratch\nHEALTHCHECK --interval=5 CMD a' },
  { name: 'HEALTHCHECK with too short a duration', dockerfile: 'FROM scratch\nHEALTHCHECK --interval=1us CMD a' },
  { name: 'HEALTHCHECK with a negative number', dockerfile: 'FROM scratch\nHEALTHCHECK --retries=-1 CMD a' },
  { name: 'HEALTHCHECK of an unknown kind', dockerfile: 'FROM scratch\nHEALTHCHECK HTTP a' },
  { name: 'HEALTHCHECK NONE with more', dockerfile: 'FROM scratch\nHEALTHCHECK NONE a' },
  { name: 'HEALTHCHECK without a command', dockerfile: 'FROM scratch\nHEALTHCHECK CMD' },
  {
    name: 'EXPOSE in many forms',
    dockerfile: 'FROM scratch\nEXPOSE 80 443/tcp 53/udp 80/TCP\nEXPOSE 7000-7002 9/sctp\nEXPOSE 80/tcp',
    newer: true,
  },
  { name: 'EXPOSE of an address', dockerfile: 'FROM scratch\nEXPOSE 127.0.0.1:80:8080/tcp' },
  { name: 'EXPOSE of no port', dockerfile: 'FROM scratch\nEXPOSE abc' },
  { name: 'EXPOSE of a range that runs backwards', dockerfile: 'FROM scratch\nEXPOSE 9-8' },
  { name: 'EXPOSE of an unknown protocol', dockerfile: 'FROM scratch\nEXPOSE 80/abc' },
  {
    name: 'EXPOSE of several ports in a variable',
    dockerfile: 'FROM scratch\nARG P="80 81/udp"\nEXPOSE $P ${NONE:-90}',
  },
  { name: 'VOLUME in both forms', dockerfile: 'FROM scratch\nVOLUME /a /b\nVOLUME ["/c d", "/e"]\nVOLUME f' },
  {
    name: 'VOLUME throws nothing away',
    dockerfile: 'FROM @base\nRUN mkdir /v && echo 1 > /v/1\nVOLUME /v /w\nRUN echo 2 > /v/2\nCOPY a /v/\nCOPY a /w/',
    files: { a: 'a' },
  },
  { name: 'VOLUME of nothing', dockerfile: 'FROM scratch\nVOLUME [""]' },
  { name: 'VOLUME with an empty list', dockerfile: 'FROM scratch\nVOLUME []' },
  {
    name: 'STOPSIGNAL by name and number',
    dockerfile: 'FROM scratch\nSTOPSIGNAL SIGKILL\nSTOPSIGNAL 9\nSTOPSIGNAL sigterm',
  },
  { name: 'STOPSIGNAL that is none', dockerfile: 'FROM scratch\nSTOPSIGNAL SIGNONE' },
  { name: 'MAINTAINER is the author', dockerfile: 'FROM scratch\nMAINTAINER A  B <a@b>\nLABEL x=y' },
  {
    name: 'everything is inherited from a stage',
    dockerfile:
      'FROM scratch AS b\nENV a=1\nUSER 3\nWORKDIR /w\nCMD ["c"]\nENTRYPOINT ["e"]\nVOLUME /v\nEXPOSE 1\nLABEL l=1\nHEALTHCHECK CMD h\nSHELL ["s"]\nSTOPSIGNAL 1\nMAINTAINER m\nONBUILD ENV o=1\nFROM b',
  },
  { name: 'scratch with nothing', dockerfile: 'FROM scratch' },
  { name: 'an image with nothing', dockerfile: 'FROM @base' },
  { name: 'two scratches', dockerfile: 'FROM scratch AS a\nFROM a AS b\nFROM b\nENV x=1' },
  {
    name: 'ONBUILD runs in the child, before all else',
    dockerfile:
      'FROM @base AS b\nENV x=parent\nONBUILD ENV y=$x\nONBUILD COPY a /a\nONBUILD RUN echo "$x $y" > /r\nONBUILD WORKDIR /w\nONBUILD USER app\nFROM b\nENV x=child\nRUN pwd > /tmp/p',
    files: { a: 'a' },
  },
  {
    name: 'ONBUILD stays for the child, not for what stands on it',
    dockerfile: 'FROM @base AS b\nONBUILD ENV y=1\nFROM b AS c\nONBUILD ENV z=1\nFROM c',
  },
  {
    name: 'ONBUILD with all it may hold',
    dockerfile:
      'FROM @base AS b\nONBUILD ADD a /1\nONBUILD ARG q=1\nONBUILD CMD ["c"]\nONBUILD ENTRYPOINT ["e"]\nONBUILD EXPOSE 1\nONBUILD HEALTHCHECK NONE\nONBUILD LABEL l=$q\nONBUILD SHELL ["/bin/sh", "-ec"]\nONBUILD STOPSIGNAL 2\nONBUILD VOLUME /v\nFROM b',
    files: { a: 'a' },
  },
  {
    name: 'ONBUILD with flags and heredocs',
    dockerfile:
      'FROM @base AS t\nRUN echo 1 > /made\nFROM @base AS b\nONBUILD COPY --from=t --chown=3:4 --chmod=640 /made /m\nONBUILD RUN --mount=type=bind,from=t,target=/t cat /t/made > /n\nONBUILD RUN <<EOF\necho 1 > /h\nEOF\nONBUILD COPY <<EOF /c\ntext $PATH\nEOF\nFROM b',
  },
  {
    name: 'ONBUILD only kept',
    dockerfile:
      'FROM scratch\nONBUILD RUN a  b\nONBUILD copy --from=x a b\nonbuild CMD ["a","b"]\nONBUILD RUN a \\\n  b',
  },
  { name: 'ONBUILD ONBUILD', dockerfile: 'FROM scratch\nONBUILD ONBUILD ENV a=1' },
  { name: 'ONBUILD FROM', dockerfile: 'FROM scratch\nONBUILD FROM x' },
  { name: 'ONBUILD MAINTAINER', dockerfile: 'FROM scratch\nONBUILD MAINTAINER x' },
  { name: 'ONBUILD of nothing', dockerfile: 'FROM scratch\nONBUILD' },
  {
    name: 'history tells of every instruction',
    dockerfile:
      'FROM @base\nARG a=1\nENV  b=2   c=3\nRUN   true\nRUN ["true", "x"]\nCOPY  a   /a\nCOPY --chown=1 ["a", "/b"]\nADD a /c\nWORKDIR /w\nUSER 1\nUSER 0\nEXPOSE 1 2/udp\nVOLUME /v\nLABEL d="e f"\nCMD ["x"]\nCMD x\nENTRYPOINT y\nSTOPSIGNAL 1\nHEALTHCHECK CMD z\nSHELL ["/bin/sh", "-c"]\nONBUILD RUN w\nMAINTAINER m',
    files: { a: 'a' },
  },
  {
    name: 'history of arguments, wherever they come from',
    dockerfile:
      'FROM @base\nARG a=1 b="x y" c\nRUN true\nARG d=$a\nRUN echo $a$d\nENV e=1\nRUN ["true"]\nRUN <<EOF\ntrue\nEOF',
    args: ['--build-arg', 'c=out', '--build-arg', 'unused=1'],
  },
  {
    name: 'history of long commands',
    dockerfile:
      'FROM @base\nRUN true && \\\n    true \\\n    # between\n    && true\nCOPY a \\\n  /b \nENV x=1 \\\n    y=2',
    files: { a: 'a' },
  },
  {
    name: 'SOURCE_DATE_EPOCH of the build',
    dockerfile: 'FROM @base\nARG SOURCE_DATE_EPOCH\nRUN echo "$SOURCE_DATE_EPOCH" > /e\nENV E=$SOURCE_DATE_EPOCH',
    args: ['--build-arg', 'SOURCE_DATE_EPOCH=1000000000'],
    timeless: true,
  },
  {
    name: 'a target in the middle, in another case',
    dockerfile: 'FROM scratch AS one\nENV a=1\nFROM one AS Two\nENV b=2\nFROM nowhere.invalid/x AS three\nRUN x',
    args: ['--target', 'tWO'],
  },
  {
    name: 'a target by number',
    dockerfile: 'FROM scratch\nENV a=1\nFROM scratch\nENV b=2',
    args: ['--target', '0'],
    newer: true,
  },
  { name: 'a target that is not there', dockerfile: 'FROM scratch AS a\nENV a=1', args: ['--target', 'b'] },
  {
    name: 'stages that are not needed may be wrong',
    dockerfile: 'FROM nowhere.invalid/x AS a\nCOPY none /\nFROM scratch AS b\nCOPY none /\nFROM scratch\nENV a=1',
  },
  {
    name: 'two stages of one name: the later one',
    dockerfile: 'FROM scratch AS a\nENV x=1\nFROM scratch AS a\nENV x=2\nFROM a\nENV y=1',
  },
  {
    name: 'a stage that is named like an image',
    dockerfile: 'FROM scratch AS busybox\nENV x=1\nFROM busybox\nENV y=1',
  },
  { name: 'a stage that is not named in lower case', dockerfile: 'FROM scratch AS Base\nENV x=1\nFROM Base\nENV y=1' },
  { name: 'a stage name that is none', dockerfile: 'FROM scratch AS 1a\nENV x=1' },
  { name: 'FROM with more words', dockerfile: 'FROM scratch AS a b\nENV x=1' },
  { name: 'FROM with an image that is none', dockerfile: 'FROM A/B//c\nENV x=1' },
  { name: 'an instruction before FROM', dockerfile: 'ENV a=1\nFROM scratch' },
  { name: 'an instruction that is none', dockerfile: 'FROM scratch\nENVV a=1' },
  { name: 'instructions in any case', dockerfile: 'from scratch as a\neNv a=1\nFroM a\nlabel b=2' },
  {
    name: 'carriage returns, a byte order mark, tabs',
    dockerfile: '\uFEFFFROM scratch\r\n\tENV a=1 \\\r\n\t b=2\r\n  LABEL c="d"\r\n',
  },
  {
    name: 'directives',
    dockerfile: '# syntax=docker/dockerfile:1\n# escape=`\n# check=skip=all\nFROM scratch\nENV a=b` c',
    args: ['--build-arg', 'BUILDKIT_SYNTAX='],
    newer: true,
  },
  { name: 'a directive twice', dockerfile: '# escape=`\n# escape=`\nFROM scratch\nENV a=1' },
  {
    name: 'a directive after a comment is a comment',
    dockerfile: '# comment\n# escape=`\nFROM scratch\nENV a=b\\\n c=d',
  },
  { name: 'an escape that is none', dockerfile: '# escape=x\nFROM scratch\nENV a=1' },
  { name: 'a comment between and behind', dockerfile: '# one\nFROM scratch # no comment\nENV a=1' },
  { name: 'a hash in words', dockerfile: 'FROM scratch\nENV a=b#c d="#e" f=#g\nLABEL h=# i=j' },
  { name: 'a continuation at the end of the file', dockerfile: 'FROM scratch\nENV a=1 \\' },
  { name: 'a continuation with blanks behind it', dockerfile: 'FROM scratch\nENV a=1 \\   \n  b=2 \\\t\n  c=3' },
  { name: 'two escapes at the end of a line', dockerfile: 'FROM scratch\nENV a=1\\\\\nENV b=2' },
  { name: 'an empty file', dockerfile: '\n\n' },
  { name: 'only comments', dockerfile: '# a\n# b\n' },
  { name: 'only arguments', dockerfile: 'ARG a=1\n' },
  { name: 'an unknown flag', dockerfile: 'FROM scratch\nCOPY --chonw=1 a b' },
  { name: 'a flag of another instruction', dockerfile: 'FROM scratch\nENV --chown=1 a=b\nCMD --from=x' },
  { name: 'a flag of ADD on COPY', dockerfile: 'FROM scratch\nCOPY --checksum=x a b', files: { a: '' } },
  { name: 'ENTRYPOINT in the shell form, then CMD', dockerfile: 'FROM scratch\nENTRYPOINT exec top -b\nCMD ["-d"]' },
  { name: 'a platform of FROM that is none', dockerfile: 'FROM --platform=linux/nothing/x/y scratch\nENV a=1' },
  {
    name: 'a platform of FROM in full',
    dockerfile: 'FROM --platform=linux/amd64 scratch\nENV a=1',
    args: ['--platform', 'linux/amd64'],
  },
  { name: 'a stage that is called scratch', dockerfile: 'FROM @base AS scratch\nENV x=1\nFROM scratch\nENV y=1' },
  {
    name: 'a stage that is called context',
    dockerfile: 'FROM @base AS context\nRUN echo stage > /f\nFROM scratch\nCOPY --from=context /f /1\nCOPY f /2',
    files: { f: 'of the context' },
  },
];
