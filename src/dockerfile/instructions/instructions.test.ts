import { describe, expect, test } from 'vitest';
import { parseDockerfile } from '../parse.ts';
import { pointedAt, thrownBy } from '../testing/thrown.ts';
import type { Instruction } from '../types.ts';

function one(text: string, escape = '\\'): Instruction {
  const [instruction, ...more] = parseDockerfile(`# escape=${escape}\nFROM x\n${text}`).stages[0]?.instructions ?? [];
  if (instruction === undefined || more.length > 0) throw new Error('not one instruction');
  return instruction;
}

/** A plain view of what was understood, without ranges. */
function view(instruction: Instruction): unknown {
  switch (instruction.name) {
    case 'ENV':
    case 'LABEL':
      return [
        ...instruction.pairs.map(({ key, value }) => [key.text, value.text]),
        ...(instruction.legacy ? ['legacy'] : []),
      ];
    case 'ARG':
      return instruction.args.map(({ key, value }) => (value === undefined ? [key.text] : [key.text, value.text]));
    case 'RUN':
    case 'CMD':
    case 'ENTRYPOINT':
      return instruction.command.form === 'exec' ? instruction.command.args : instruction.command.text;
    case 'SHELL':
      return instruction.shell;
    case 'EXPOSE':
      return instruction.ports.map(({ text }) => text);
    case 'VOLUME':
      return instruction.volumes.map(({ text }) => text);
    case 'WORKDIR':
      return instruction.path.text;
    case 'USER':
      return instruction.user.text;
    case 'STOPSIGNAL':
      return instruction.signal.text;
    case 'MAINTAINER':
      return instruction.maintainer.text;
    case 'COPY':
    case 'ADD':
      return [
        ...instruction.sources.map((source) => (source.kind === 'path' ? source.text : source)),
        instruction.destination.text,
      ];
    case 'HEALTHCHECK': {
      if (instruction.check.kind === 'none') return 'none';
      const { command } = instruction.check;
      return command.form === 'exec' ? command.args : command.text;
    }
    case 'ONBUILD':
      return [instruction.expression, view(instruction.instruction)];
  }
}

describe('what is understood', () => {
  test.each<[string, unknown]>([
    ['ENV a=b', [['a', 'b']]],
    [
      'ENV a=b c="d e" f=\'g h\' i=j\\ k',
      [
        ['a', 'b'],
        ['c', '"d e"'],
        ['f', "'g h'"],
        ['i', 'j\\ k'],
      ],
    ],
    [
      'ENV a= b=""',
      [
        ['a', ''],
        ['b', '""'],
      ],
    ],
    ['ENV a=b=c', [['a', 'b=c']]],
    ['ENV "a b"=c', [['"a b"', 'c']]],
    ['ENV a  b c=d "e', [['a', 'b c=d "e'], 'legacy']],
    [
      'ENV a=b \\\n    c=d',
      [
        ['a', 'b'],
        ['c', 'd'],
      ],
    ],
    [
      'ENV a=$b c=${d:-e\\ f}',
      [
        ['a', '$b'],
        ['c', '${d:-e\\ f}'],
      ],
    ],
    [
      'LABEL "com.x"="1" y=\'a\\\nb\'',
      [
        ['"com.x"', '"1"'],
        ['y', "'ab'"],
      ],
    ],
    ['LABEL a b', [['a', 'b'], 'legacy']],
    ['ARG a', [['a']]],
    ['ARG a=1 b c="x y" d=', [['a', '1'], ['b'], ['c', '"x y"'], ['d', '']]],
    ['ARG --odd a', [['a']]],
    ['RUN echo  a && b', 'echo  a && b'],
    ['RUN ["a", "b c", "\\u00e9\\""]', ['a', 'b c', 'é"']],
    ['RUN  [ "a" ]  ', ['a']],
    ['RUN [\'a\', "b"]', '[\'a\', "b"]'],
    ['RUN ["a", "b"', '["a", "b"'],
    ['RUN ["a"] && b', '["a"] && b'],
    ['RUN [ -f x ] || y', '[ -f x ] || y'],
    ['RUN {"a":1}', '{"a":1}'],
    ['RUN', ''],
    ['RUN []', []],
    ['RUN -- --a', '--a'],
    ['RUN a --b', 'a --b'],
    ['RUN ["\\ud800"]', ['\ufffd']],
    ['CMD a b', 'a b'],
    ['CMD []', []],
    ['CMD', ''],
    ['cmd ["a"]', ['a']],
    ['ENTRYPOINT ["a", "b"]', ['a', 'b']],
    ['ENTRYPOINT []', []],
    ['SHELL ["/bin/bash", "-c"]', ['/bin/bash', '-c']],
    ['EXPOSE 80  443/tcp\t$P', ['80', '443/tcp', '$P']],
    ['VOLUME /a /b', ['/a', '/b']],
    ['VOLUME ["/a b", " /c "]', ['/a b', '/c']],
    ['WORKDIR /a b ', '/a b'],
    ['USER a:b', 'a:b'],
    ['STOPSIGNAL SIGTERM', 'SIGTERM'],
    ['STOPSIGNAL "9"', '"9"'],
    ['STOPSIGNAL rtmin+3', 'rtmin+3'],
    ['STOPSIGNAL $S', '$S'],
    ['MAINTAINER A B <a@b>', 'A B <a@b>'],
    ['COPY a b c/', ['a', 'b', 'c/']],
    ['COPY ["a b", "c d"]', ['a b', 'c d']],
    ['COPY "a b', ['"a', 'b']],
    ["ADD http://x/y <<'q /d", ['http://x/y', "<<'q", '/d']],
    ['HEALTHCHECK NONE', 'none'],
    ['HEALTHCHECK --interval=5s none', 'none'],
    ['HEALTHCHECK CMD curl -f x', 'curl -f x'],
    ['HEALTHCHECK cmd ["a", "b"]', ['a', 'b']],
    ['ONBUILD RUN a b', ['RUN a b', 'a b']],
    ['onbuild  copy ["a", "b"]', ['copy ["a", "b"]', ['a', 'b']]],
    ['ONBUILD ENV a \\\n b', ['ENV a  b', [['a', 'b'], 'legacy']]],
  ])('%j', (text, expected) => {
    expect(view(one(text))).toEqual(expected);
  });

  test('with another escape character', () => {
    expect(view(one('ENV a=b` c d=C:\\', '`'))).toEqual([
      ['a', 'b` c'],
      ['d', 'C:\\'],
    ]);
    const run = one('RUN --mount=type=cache,target=C:\\x` y z', '`');
    expect(run.name === 'RUN' && run.mounts.map(({ text }) => text)).toEqual(['type=cache,target=C:\\x y']);
  });
});

describe('flags', () => {
  test('of COPY', () => {
    expect(
      one('COPY --from=build --chown=a:b --chmod=755 --link --parents=FALSE --exclude=*.a --exclude="b c" a b'),
    ).toMatchObject({
      from: { text: 'build' },
      chown: { text: 'a:b' },
      chmod: { text: '755' },
      link: true,
      parents: false,
      excludes: [{ text: '*.a' }, { text: 'b c' }],
    });
    expect(one('COPY --from= --link=false a b')).toMatchObject({ from: undefined, link: false, parents: false });
  });

  test('of ADD', () => {
    expect(one('ADD --checksum=sha256:1 --keep-git-dir --unpack=false a b')).toMatchObject({
      checksum: { text: 'sha256:1' },
      keepGitDir: true,
      unpack: false,
      link: false,
    });
    expect(one('ADD a b')).toMatchObject({ keepGitDir: undefined, unpack: undefined, checksum: undefined });
  });

  test('of RUN', () => {
    expect(
      one("RUN --mount=type=cache,target=/a --mount='type=bind,target=/b c' --network=none --security=insecure -- --x"),
    ).toMatchObject({
      mounts: [{ text: 'type=cache,target=/a' }, { text: 'type=bind,target=/b c' }],
      network: { text: 'none' },
      security: { text: 'insecure' },
      command: { form: 'shell', text: '--x' },
    });
    expect(one('RUN --network=$NET --device=vendor.com/x=all a')).toMatchObject({
      network: { text: '$NET' },
      devices: [{ text: 'vendor.com/x=all' }],
    });
  });

  test('are kept as written', () => {
    expect(one('COPY --link --chmod="7"55 a b').flags).toMatchObject([
      { name: 'link', value: undefined, valueRange: undefined },
      { name: 'chmod', value: '755' },
    ]);
  });

  test('of HEALTHCHECK', () => {
    expect(
      one('HEALTHCHECK --interval=1m30s --timeout=1.5s --start-period=0s --start-interval=500ms --retries=3 CMD a'),
    ).toMatchObject({
      check: {
        interval: 90e9,
        timeout: 1.5e9,
        startPeriod: undefined,
        startInterval: 5e8,
        retries: 3,
      },
    });
  });
});

describe('mistakes', () => {
  test.each<[string, RegExp, RegExp | undefined, string | undefined]>([
    ['ENV', /ENV requires at least one argument/, /ENV NAME=value/, 'ENV'],
    ['ENV a', /ENV a has no value/, /a=value/, 'ENV a'],
    ['ENV a=b c', /"c" of ENV has no =/, /quotes/, 'c'],
    ['ENV =b', /without a name/, undefined, '=b'],
    ['ENV --a b=c', /unknown flag --a/, /takes no flags/, '--a'],
    ['LABEL', /LABEL requires/, undefined, 'LABEL'],
    ['ARG', /ARG requires/, undefined, 'ARG'],
    ['ARG a=1 =2', /without a name/, undefined, '=2'],
    ['COPY a', /two arguments/, /where should a go/, 'COPY a'],
    ['COPY', /two arguments/, undefined, 'COPY'],
    ['ADD ["a"]', /two arguments/, undefined, undefined],
    ['COPY ["a", 1]', /strings only/, undefined, '["a", 1]'],
    ['COPY --from a b', /--from has no value/, undefined, '--from'],
    ['COPY --form=x a b', /unknown flag --form/, /did you mean --from/, '--form=x'],
    ['COPY --user=me a b', /unknown flag --user/, /--from, --chown/, '--user=me'],
    ['COPY --from=a --from=b a b', /--from is given twice/, undefined, '--from=b'],
    ['COPY --link=yes a b', /true or false/, undefined, '--link=yes'],
    ['COPY --link= a b', /empty value/, undefined, '--link='],
    ['COPY --__proto__=x a b', /unknown flag/, undefined, '--__proto__=x'],
    ['ADD --parents a b', /unknown flag --parents/, undefined, '--parents'],
    ['RUN [1]', /strings only/, undefined, '[1]'],
    ['RUN ["a", null]', /strings only/, undefined, undefined],
    ['RUN --mont=type=cache a', /unknown flag --mont/, /did you mean --mount/, undefined],
    ['RUN --mount=from=$X,target=/a b', /variable/, undefined, 'from=$X,target=/a'],
    ['RUN --mount= b', /empty/, undefined, undefined],
    ['RUN --network=hostt a', /default, none or host/, /did you mean host/, 'hostt'],
    ['RUN --security=none a', /sandbox or insecure/, undefined, 'none'],
    ['CMD --help', /unknown flag --help/, /put -- before/, '--help'],
    ['SHELL', /SHELL requires/, undefined, 'SHELL'],
    ['SHELL []', /SHELL requires/, undefined, undefined],
    ['SHELL bash -c', /JSON array/, /SHELL \["bash", "-c"\]/, 'bash -c'],
    ['EXPOSE', /EXPOSE requires/, undefined, 'EXPOSE'],
    ['VOLUME', /VOLUME requires/, undefined, 'VOLUME'],
    ['VOLUME []', /VOLUME requires/, undefined, undefined],
    ['VOLUME ["/a", " "]', /is empty/, undefined, '" "'],
    ['WORKDIR', /WORKDIR requires exactly one/, undefined, 'WORKDIR'],
    ['USER ', /USER requires exactly one/, undefined, 'USER'],
    ['MAINTAINER', /MAINTAINER requires exactly one/, undefined, 'MAINTAINER'],
    ['MAINTAINER --boo joe', /unknown flag --boo/, undefined, '--boo'],
    ['STOPSIGNAL', /STOPSIGNAL requires exactly one/, undefined, undefined],
    ['STOPSIGNAL SIGTREM', /"SIGTREM" is no signal/, /did you mean SIGTERM/, 'SIGTREM'],
    ['STOPSIGNAL 0', /is no signal/, undefined, '0'],
    ['STOPSIGNAL "TERM', /double quote/, undefined, undefined],
    ['HEALTHCHECK', /HEALTHCHECK requires/, undefined, undefined],
    ['HEALTHCHECK NONE a', /takes no arguments/, undefined, 'a'],
    ['HEALTHCHECK CMD', /has no command/, undefined, undefined],
    ['HEALTHCHECK CMD []', /has no command/, undefined, undefined],
    ['HEALTHCHECK curl x', /CMD and NONE, not curl/, undefined, 'curl'],
    ['HEALTHCHECK --interval=5 CMD a', /no duration/, /30s/, '5'],
    ['HEALTHCHECK --interval=5us CMD a', /less than 1ms/, undefined, '5us'],
    ['HEALTHCHECK --timeout=-1s CMD a', /less than 1ms/, undefined, '-1s'],
    ['HEALTHCHECK --retries=-1 CMD a', /no count/, undefined, '-1'],
    ['HEALTHCHECK --retries=1.5 CMD a', /no count/, undefined, '1.5'],
    ['HEALTHCHECK --retries=2147483648 CMD a', /no count/, undefined, '2147483648'],
    ['ONBUILD', /ONBUILD requires/, undefined, 'ONBUILD'],
    ['ONBUILD ONBUILD RUN a', /ONBUILD ONBUILD is not allowed/, undefined, 'ONBUILD RUN a'],
    ['ONBUILD from x', /ONBUILD FROM is not allowed/, undefined, 'from x'],
    ['ONBUILD MAINTAINER x', /ONBUILD MAINTAINER is not allowed/, undefined, undefined],
    ['ONBUILD COPY a', /two arguments/, undefined, 'COPY a'],
    ['ONBUILD RNU a', /unknown instruction: RNU/, undefined, 'RNU'],
  ])('%j', (text, message, hint, place) => {
    const error = thrownBy(() => one(text));
    expect(error.code).toBe('dockerfile');
    expect(error.message).toMatch(message);
    if (hint !== undefined) expect(error.hint).toMatch(hint);
    expect(error.location?.ranges[0]?.start.line).toBe(3);
    if (place !== undefined) expect(pointedAt(error)).toBe(place);
  });
});
