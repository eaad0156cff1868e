import { describe, expect, test } from 'vitest';
import { parseDockerfile, parseInstruction } from './parse.ts';
import { detectSyntax } from './directives.ts';
import { pointedAt, textAt, thrownBy } from './testing/thrown.ts';
import type { Heredoc, Instruction } from './types.ts';

/** Instructions after `FROM x`. */
function body(text: string): readonly Instruction[] {
  return parseDockerfile(`FROM x\n${text}`).stages[0]?.instructions ?? [];
}

function originals(text: string): string[] {
  return body(text).map((instruction) => instruction.original);
}

describe('stages', () => {
  const text = `ARG TAG=1
# the compiler
FROM --platform=$BUILDPLATFORM golang:$TAG as Build
RUN go build

FROM build AS test
FROM scratch
COPY --from=build /a /
CMD ["/a"]
`;
  const file = parseDockerfile(text, { filename: 'dir/Dockerfile' });

  test('are in file order, names in lower case', () => {
    expect(file.stages.map(({ index, name, from }) => [index, name, from.image.text])).toEqual([
      [0, 'build', 'golang:$TAG'],
      [1, 'test', 'build'],
      [2, undefined, 'scratch'],
    ]);
    expect(file.stages.map((stage) => stage.instructions.map(({ name }) => name))).toEqual([
      ['RUN'],
      [],
      ['COPY', 'CMD'],
    ]);
    expect(file.globalArgs.map(({ original }) => original)).toEqual(['ARG TAG=1']);
    expect(file.file).toEqual({ filename: 'dir/Dockerfile', text, language: 'Dockerfile' });
  });

  test('keep words and their places', () => {
    const from = file.stages[0]?.from;
    expect([from?.keyword, from?.asKeyword?.text, from?.as?.text, from?.platform?.text]).toEqual([
      'FROM',
      'as',
      'Build',
      '$BUILDPLATFORM',
    ]);
    expect(from?.comments.map((comment) => comment.text)).toEqual(['the compiler']);
    expect(from?.platform && textAt(text, from.platform.range)).toBe('$BUILDPLATFORM');
    expect(from?.as?.range).toEqual({ start: { line: 3, column: 46 }, end: { line: 3, column: 51 } });
    expect(textAt(text, file.stages[0]!.range)).toBe(text.slice(text.indexOf('FROM'), text.indexOf('\n\nFROM')));
  });

  test.each<[string, RegExp, string | undefined]>([
    ['', /empty/, undefined],
    ['\n \n', /empty/, undefined],
    ['# only\n# comments\n', /no instructions/, undefined],
    ['ARG a', /no FROM/, 'ARG a'],
    ['RUN a\nFROM x', /RUN stands before the first FROM/, 'RUN a'],
    ['FROM', /FROM takes an image/, 'FROM'],
    ['FROM a b', /FROM takes an image/, 'FROM a b'],
    ['FROM a AS', /FROM takes an image/, 'FROM a AS'],
    ['FROM a AS b c', /FROM takes an image/, 'FROM a AS b c'],
    ['FROM a AS 1b', /"1b" cannot be the name/, '1b'],
    ['FROM a AS b/c', /cannot be the name/, 'b/c'],
    ['FROM --platfrom=x a', /unknown flag --platfrom/, '--platfrom=x'],
    ['FROM a\nFNTRYPOINT x', /unknown instruction: FNTRYPOINT/, 'FNTRYPOINT'],
    ['FROM a\nRUN x\n&& y', /unknown instruction: &&/, '&&'],
    ['FROM a\n\\\n', /continuation leads to nothing/, ''],
  ])('%j is an error', (text, message, place) => {
    const error = thrownBy(() => parseDockerfile(text));
    expect(error.code).toBe('dockerfile');
    expect(error.message).toMatch(message);
    expect(error.hint).toBeDefined();
    expect(pointedAt(error)).toBe(place);
  });

  test('suggest the nearest instruction', () => {
    expect(thrownBy(() => parseDockerfile('FROM a\nFNTRYPOINT x')).hint).toBe('did you mean ENTRYPOINT?');
    expect(thrownBy(() => parseDockerfile('FORM a')).hint).toBe('did you mean FROM?');
    expect(thrownBy(() => parseDockerfile('FROM a\nsomething')).hint).toMatch(/^instructions are ADD, ARG/);
  });
});

describe('lines', () => {
  test.each<[string, string[]]>([
    ['RUN a\\\nb', ['RUN ab']],
    ['RUN a \\\n  b', ['RUN a   b']],
    ['RUN a \\ \t\n  b', ['RUN a   b']],
    ['RUN a\\\\\nRUN b', ['RUN a\\\\', 'RUN b']],
    ['RUN a \\', ['RUN a']],
    ['RUN a \\\n# no\n  # no\n b # yes\n', ['RUN a  b # yes']],
    ['RUN a \\\n\n\n b', ['RUN a  b']],
    ['RUN a \\\n\\\n b', ['RUN a  b']],
    ['  RUN a\t\n', ['RUN a']],
    ['RUN a\r\nRUN b \\\r\n c\r\n', ['RUN a', 'RUN b  c']],
    ['run\ta  b', ['run\ta  b']],
    ['\\\nRUN a', ['RUN a']],
    ['RUN a\\\n#b\n', ['RUN a']],
    ['RUN\\\n a', ['RUN a']],
    ['R\\\nUN a', ['RUN a']],
  ])('%j', (text, expected) => {
    expect(originals(text)).toEqual(expected);
  });

  test('another escape character continues lines', () => {
    const file = parseDockerfile('# escape=`\nFROM x\nRUN a `\n b\nRUN C:\\\nRUN d');
    expect(file.escape).toBe('`');
    expect(file.stages[0]?.instructions.map(({ original }) => original)).toEqual(['RUN a  b', 'RUN C:\\', 'RUN d']);
  });

  test('a byte order mark is no part of the text', () => {
    const text = '\uFEFFFROM x';
    const [stage] = parseDockerfile(text).stages;
    expect(stage?.from.keyword).toBe('FROM');
    expect(stage?.from.keywordRange).toEqual({ start: { line: 1, column: 1 }, end: { line: 1, column: 5 } });
    expect(parseDockerfile('\uFEFF# escape=`\nFROM x').escape).toBe('`');
  });

  test('blank lines in a continuation are warned of, comments are not', () => {
    const text = 'FROM x\nRUN a \\\n# c\n b \\\n  \n c\nRUN d \\\n # c\n e\n';
    expect(parseDockerfile(text).warnings).toEqual([
      {
        rule: 'NoEmptyContinuation',
        message: 'Empty continuation line',
        range: { start: { line: 5, column: 0 }, end: { line: 5, column: 2 } },
      },
    ]);
  });

  test('comments directly above belong to an instruction', () => {
    const comments = (text: string): string[][] =>
      body(text).map((item) => item.comments.map((comment) => comment.text));
    expect(comments('# one\n  #two\nRUN a\nRUN b')).toEqual([['one', 'two'], []]);
    expect(comments('# one\n\n# two\nRUN a')).toEqual([['two']]);
    expect(comments('# one\n#\n# two\nRUN a')).toEqual([['two']]);
    expect(parseDockerfile('# syntax=x\n# one\nFROM x').stages[0]?.from.comments.map(({ text }) => text)).toEqual([
      'one',
    ]);
  });

  test('lines are limited to 65535 bytes', () => {
    const full = `RUN ${'a'.repeat(65531)}`;
    expect(originals(`${full}\nRUN b`)).toHaveLength(2);
    expect(originals(full)).toHaveLength(1);
    for (const text of [`RUN ${'a'.repeat(65532)}`, `RUN ${'é'.repeat(32766)}`, `RUN <<E\n${'a'.repeat(65536)}\nE`]) {
      const error = thrownBy(() => body(text));
      expect(error.message).toMatch(/longer than 65535 bytes/);
      expect(error.location?.ranges[0]?.start.line).toBe(text.includes('<<') ? 3 : 2);
    }
    expect(originals(`RUN ${'é'.repeat(32765)}`)).toHaveLength(1);
    expect(originals(`RUN ${'😀'.repeat(16382)}`)).toHaveLength(1);
  });

  test('ranges follow continued lines', () => {
    const text = 'FROM x\nCOPY --chown=a:b \\\n  # why\n  src \\\n  "dst"\n';
    const [copy] = parseDockerfile(text).stages[0]?.instructions ?? [];
    if (copy?.name !== 'COPY') throw new Error('no COPY');
    expect(textAt(text, copy.range)).toBe(text.slice(7).trimEnd());
    expect(copy.chown && textAt(text, copy.chown.range)).toBe('a:b');
    expect(copy.sources.map((source) => textAt(text, source.range))).toEqual(['src']);
    expect(textAt(text, copy.destination.range)).toBe('"dst"');
    expect(copy.destination.range).toEqual({ start: { line: 5, column: 2 }, end: { line: 5, column: 7 } });
  });
});

describe('directives', () => {
  test.each<[string, string[], string]>([
    ['# syntax=docker/dockerfile:1\nFROM x', ['syntax=docker/dockerfile:1'], '\\'],
    [
      '#SYNTAX = a b \n#\tEscape=`\n  # check=skip=all;error=true\nFROM x',
      ['syntax=a b', 'escape=`', 'check=skip=all;error=true'],
      '`',
    ],
    ['# comment\n# escape=`\nFROM x', [], '\\'],
    ['\n# escape=`\nFROM x', [], '\\'],
    ['FROM x\n# escape=`\n', [], '\\'],
    ['# key=value\n# escape=`\nFROM x', [], '\\'],
    ['# escape=\\\nFROM x', ['escape=\\'], '\\'],
    ['# escape=`\n# c\n# syntax=y\nFROM x', ['escape=`'], '`'],
    ['#!/usr/bin/env docker\n# syntax=y\nFROM x', ['syntax=y'], '\\'],
    ['#!/usr/bin/env docker\n# escape=`\nFROM x', [], '\\'],
    ['#!/usr/bin/env docker\n\n# syntax=y\nFROM x', [], '\\'],
  ])('%j', (text, directives, escape) => {
    const file = parseDockerfile(text);
    expect(file.directives.map(({ name, value }) => `${name}=${value}`)).toEqual(directives);
    expect(file.escape).toBe(escape);
    for (const directive of file.directives) expect(textAt(text, directive.range)).toContain(directive.value);
  });

  test.each<[string, RegExp, string]>([
    ['# escape=x\nFROM x', /"x" cannot be the escape character/, '# escape=x'],
    ['# syntax=a\n# syntax=b\nFROM x', /syntax directive is given twice/, '# syntax=b'],
    ['# escape=`\n#ESCAPE=`\nFROM x', /escape directive is given twice/, '#ESCAPE=`'],
  ])('%j is an error', (text, message, place) => {
    const error = thrownBy(() => parseDockerfile(text));
    expect(error.message).toMatch(message);
    expect(pointedAt(error)).toBe(place);
  });

  test.each<[string, string | undefined]>([
    ['# syntax=a', 'a'],
    ['# check=x\n# syntax=a', 'a'],
    ['// syntax = a b', 'a b'],
    ['#!x\n//syntax=a', 'a'],
    ['{"syntax": "a"}', 'a'],
    ['{\n"x": 1, "syntax": "a"\n}', 'a'],
    ['{"syntax": 1}', undefined],
    ['{"syntax": "a"', undefined],
    ['// note\n// syntax=a', undefined],
    ['', undefined],
  ])('the front end that %j asks for is %j', (text, value) => {
    expect(detectSyntax(text)?.value).toBe(value);
  });

  test('a file for another front end is refused with that reason', () => {
    for (const text of ['// syntax=mine\nbuild()', '{"syntax":"mine"}']) {
      const error = thrownBy(() => parseDockerfile(text));
      expect(error.message).toMatch(/front end mine/);
      expect(error.location?.ranges[0]?.start.line).toBe(1);
    }
  });
});

describe('heredocs', () => {
  function heredocs(text: string): readonly Heredoc[] {
    const [instruction] = body(text);
    if (instruction?.name === 'RUN') return instruction.heredocs;
    if (instruction?.name !== 'COPY' && instruction?.name !== 'ADD') return [];
    return instruction.sources.filter((source) => source.kind === 'heredoc');
  }

  test.each<[string, Partial<Heredoc>[]]>([
    ['RUN <<EOF\na\n b\nEOF', [{ name: 'EOF', content: 'a\n b\n', expand: true, chomp: false, fileDescriptor: 0 }]],
    ['RUN <<EOF\nEOF', [{ content: '' }]],
    ['RUN <<-EOF\n\t\ta\n\tb\n\tEOF', [{ content: 'a\nb\n', rawContent: '\t\ta\n\tb\n', chomp: true }]],
    ['RUN <<EOF\n\tEOF\nEOF', [{ content: '\tEOF\n' }]],
    ['RUN <<"EOF"\na\nEOF', [{ name: 'EOF', expand: false }]],
    ["RUN <<E'O'F\na\nEOF", [{ name: 'EOF', expand: false }]],
    ["RUN <<E\\'F\na\nE'F", [{ name: "E'F", expand: true }]],
    ["RUN <<'a b'\nx\na b", [{ name: 'a b', expand: false, content: 'x\n' }]],
    ['RUN <<$X\nx\n$X', [{ name: '$X', expand: true }]],
    ['RUN 3<<EOF\nEOF', [{ fileDescriptor: 3 }]],
    ['RUN << EOF\nx\nEOF', [{ name: 'EOF', content: 'x\n' }]],
    [
      'RUN cat <<A <<B > f\n1\nA\n2\nB',
      [
        { name: 'A', content: '1\n' },
        { name: 'B', content: '2\n' },
      ],
    ],
    ['RUN <<EOF\n# not a comment\n\\\nEOF', [{ content: '# not a comment\n\\\n' }]],
    ['RUN a \\\n <<EOF\nx\nEOF', [{ content: 'x\n' }]],
    ['RUN --mount=target=/x <<EOF\nx\nEOF', [{ content: 'x\n' }]],
    ['RUN <<EOF\r\nx\r\nEOF\r\n', [{ content: 'x\r\n' }]],
    [
      'COPY <<A <<-B /d/\n1\nA\n\t2\n\tB',
      [
        { name: 'A', content: '1\n' },
        { name: 'B', content: '2\n', chomp: true },
      ],
    ],
    ['ADD <<robots.txt /\nx\nrobots.txt', [{ name: 'robots.txt', content: 'x\n' }]],
    ['RUN "<<EOF"', []],
    ['RUN a <<< b', []],
    ['RUN a <<', []],
    ['RUN ["a", "<<EOF"]', []],
    ['COPY ["<<EOF", "/x"]', [{ name: 'EOF', content: '' }]],
    ["RUN echo it's <<EOF", []],
    ['CMD cat <<EOF', []],
    ['RUN echo $((1<<2))', []],
  ])('%j', (text, expected) => {
    expect(heredocs(text)).toMatchObject(expected);
    expect(heredocs(text)).toHaveLength(expected.length);
    expect(body(text)).toHaveLength(1);
  });

  test('belong to the range of their instruction; the original is one line', () => {
    const text = 'FROM x\nRUN a <<EOF\nb\nEOF\nRUN c';
    const [run] = parseDockerfile(text).stages[0]?.instructions ?? [];
    expect(run && textAt(text, run.range)).toBe('RUN a <<EOF\nb\nEOF');
    expect(run?.original).toBe('RUN a <<EOF');
    expect(run?.name === 'RUN' && run.heredocs[0] && textAt(text, run.heredocs[0].range)).toBe('<<EOF');
  });

  test.each<[string, string, RegExp]>([
    ['RUN a <<EOF\nb\n', '<<EOF', /only EOF/],
    ['RUN a <<A <<B\n1\nA\n', '<<B', /only B/],
    ['RUN <<EOF\nb\n  EOF\n', '<<EOF', /line 4 has blanks/],
    ['RUN <<-"EOF"\nb\n  EOF\n', '<<-"EOF"', /only tabs/],
  ])('%j never ends', (text, place, hint) => {
    const error = thrownBy(() => body(text));
    expect(error.message).toMatch(/never ended/);
    expect(error.hint).toMatch(hint);
    expect(pointedAt(error)).toBe(place);
  });

  test('cannot be a destination', () => {
    const error = thrownBy(() => body('COPY a <<EOF\nx\nEOF'));
    expect(error.message).toMatch(/cannot copy to a heredoc/);
    expect(pointedAt(error)).toBe('<<EOF');
  });

  test('of a trigger are kept as the image stores them', () => {
    const [onbuild] = body('onbuild RUN cat <<-A <<"B"\n\t1\n\tA\n2\nB\n');
    expect(onbuild?.name === 'ONBUILD' && onbuild.expression).toBe('RUN cat <<-A <<"B"\n\t1\nA\n2\nB');
    const [blanks] = body('ONBUILD  RUN  a  b \n');
    expect(blanks?.name === 'ONBUILD' && blanks.expression).toBe('RUN  a  b ');
  });
});

describe('parseInstruction', () => {
  test('reads a trigger as an image holds it', () => {
    const instruction = parseInstruction('RUN <<EOF\necho a\nEOF', { filename: 'ONBUILD of base' });
    expect(instruction).toMatchObject({ name: 'RUN', heredocs: [{ content: 'echo a\n' }], original: 'RUN <<EOF' });
  });

  test.each(['', 'RUN a\nRUN b', 'FROM x', 'NOPE', '# x'])('refuses %j', (text) => {
    expect(thrownBy(() => parseInstruction(text)).code).toBe('dockerfile');
  });
});
