import { describe, expect, test } from 'vitest';
import { BuildError } from '../contracts/index.ts';
import { expandWord } from './expand.ts';

const ENV = new Map([
  ['HOME', '/root'],
  ['EMPTY', ''],
  ['FILE', 'a.tar.gz'],
  ['PATHS', '/x/y/x'],
  ['한국', '서울'],
  ['BLANKS', 'one  two'],
  ['STARS', 'a**b*'],
  ['LINES', 'ab\ncd'],
  ['A1', '1'],
]);

describe('expandWord', () => {
  test.each<[string, string]>([
    ['plain', 'plain'],
    ['$HOME', '/root'],
    ['${HOME}', '/root'],
    ['$HOME/bin:$HOME', '/root/bin:/root'],
    ['$HOMEx', ''],
    ['${HOME}x', '/rootx'],
    ['$NONE', ''],
    ['${NONE}', ''],
    ['$', '$'],
    ['a$', 'a$'],
    ['$ a', '$ a'],
    ['$.a', '$.a'],
    ['$A1', '1'],
    ['$1A1', 'A1'],
    ['$12x', 'x'],
    ['$@x$*$#', 'x'],
    ['$$HOME', 'HOME'],
    ['$한국', '서울'],
    ['\\$HOME', '$HOME'],
    ['\\\\$HOME', '\\/root'],
    ['a\\b', 'ab'],
    ['a\\', 'a'],
    ["'$HOME'", '$HOME'],
    ["'a\\b'", 'a\\b'],
    ['"$HOME"', '/root'],
    ['"\\$HOME"', '$HOME'],
    ['"a\\b"', 'a\\b'],
    ['"a\\"b"', 'a"b'],
    ['"a\\\\b"', 'a\\b'],
    ['"it\'s"', "it's"],
    ['\'a\'"b"c', 'abc'],
    ['"${HOME}"', '/root'],
    ['""', ''],
    // Defaults and alternatives.
    ['${NONE:-d}', 'd'],
    ['${NONE-d}', 'd'],
    ['${EMPTY:-d}', 'd'],
    ['${EMPTY-d}', ''],
    ['${HOME:-d}', '/root'],
    ['${NONE:+a}', ''],
    ['${NONE+a}', ''],
    ['${EMPTY:+a}', ''],
    ['${EMPTY+a}', 'a'],
    ['${HOME:+a}', 'a'],
    ['${NONE:-}', ''],
    ['${NONE:-$HOME}', '/root'],
    ['${NONE:-${ALSO:-$HOME}/x}', '/root/x'],
    ['${NONE:-"}"}', '}'],
    ["${NONE:-'$HOME'}", '$HOME'],
    ['${NONE:-a\\}b}', 'a}b'],
    ['${HOME:?unset}', '/root'],
    ['${EMPTY?unset}', ''],
    // Cutting.
    ['${FILE#*.}', 'tar.gz'],
    ['${FILE##*.}', 'gz'],
    ['${FILE%.*}', 'a.tar'],
    ['${FILE%%.*}', 'a'],
    ['${FILE#b}', 'a.tar.gz'],
    ['${FILE%b}', 'a.tar.gz'],
    ['${FILE#}', 'a.tar.gz'],
    ['${FILE##}', 'a.tar.gz'],
    ['${FILE#?}', '.tar.gz'],
    ['${FILE#$NONE}', 'a.tar.gz'],
    ['${FILE#${NONE:-a.}}', 'tar.gz'],
    ['${STARS#a\\*}', '*b*'],
    ['${STARS%%\\**}', 'a'],
    ['${NONE#x}', ''],
    ['${LINES#*}', 'ab\ncd'],
    ['${LINES##*}', '\ncd'],
    ['${LINES%%?}', 'ab\nc'],
    // Replacing.
    ['${PATHS/x/z}', '/z/y/x'],
    ['${PATHS//x/z}', '/z/y/z'],
    ['${PATHS//x/}', '//y/'],
    ['${PATHS/\\/x/z}', 'z/y/x'],
    ['${PATHS//\\//\\/}', '\\/x\\/y\\/x'],
    ['${PATHS/*y/z}', 'z/x'],
    ['${FILE//?/-}', '--------'],
    ['${FILE/*/z}', 'z'],
    ['${FILE//*/z}', 'z'],
    ['${FILE/b/z}', 'a.tar.gz'],
    ['${FILE///z}', 'zaz.ztzazrz.zgzzz'],
    ['${FILE/$NONE/z}', 'za.tar.gz'],
    ['${NONE/a/b}', ''],
    ["${FILE/tar/'$x'}", 'a.$x.gz'],
  ])('%j is %j', (word, expected) => {
    expect(expandWord(word, ENV).text).toBe(expected);
  });

  test.each<[string, RegExp]>([
    ["'a", /single quote/],
    ['"a', /double quote/],
    ['"a\\', /double quote/],
    ['${', /'}' is missing/],
    ['${HOME', /'}' is missing/],
    ['${HOME:', /'}' is missing/],
    ['${HOME:-', /'}' is missing/],
    ['${}', /bad substitution/],
    ['${:x}', /bad substitution/],
    ['${{x}}', /bad substitution/],
    ['${HOME=x}', /unsupported modifier =/],
    ['${HOME:#x}', /unsupported modifier :#/],
    ['${HOME:x}', /unsupported modifier :x/],
    ['${HOME^}', /unsupported modifier \^/],
    ['${NONE?}', /NONE: is not allowed to be unset/],
    ['${NONE:?say $HOME}', /NONE: say \/root/],
    ['${EMPTY:?}', /EMPTY: is not allowed to be empty/],
    ['${FILE/a}', /'\/' is missing/],
    ['${FILE//}', /'\/' is missing/],
    ['${FILE#\\x}', /malformed/],
    ['${a:-'.repeat(5000), /nested/],
  ])('%j is an error', (word, message) => {
    expect(() => expandWord(word, ENV)).toThrow(BuildError);
    expect(() => expandWord(word, ENV)).toThrow(message);
  });

  test('names that were set and unset are reported', () => {
    const { matched, unmatched } = expandWord("$HOME ${NONE:-$OTHER} ${EMPTY+$FILE} '$NOT' \\$NOT", ENV);
    expect([...matched]).toEqual(['HOME', 'FILE', 'EMPTY']);
    expect([...unmatched]).toEqual(['OTHER', 'NONE']);
  });

  test('the environment may be a function', () => {
    expect(expandWord('$a-$b', (name) => (name === 'a' ? 'A' : undefined)).text).toBe('A-');
  });

  test('the escape character may be a backtick', () => {
    expect(expandWord('C:\\x`$HOME"`$a`b"', ENV, '`').text).toBe('C:\\x$HOME$a`b');
  });

  test.each<[string, string[]]>([
    ['80 443', ['80', '443']],
    ['  a   b ', ['a', 'b']],
    ['$BLANKS', ['one', 'two']],
    ['"$BLANKS" x', ['one  two', 'x']],
    ['a\\ b c', ['a b', 'c']],
    ["'a b'c d", ['a bc', 'd']],
    ['$EMPTY $NONE', []],
    ['""', []],
    ['x"" y', ['x', 'y']],
    ['pre$BLANKS', ['preone', 'two']],
    ['a << EOF b', ['a', '<< EOF', 'b']],
    ['a\u00a0b', ['a', 'b']],
  ])('words of %j are %j', (word, expected) => {
    expect(expandWord(word, ENV).words).toEqual(expected);
  });

  test('bodies of heredocs keep their quotes', () => {
    expect(expandWord('"$HOME" \'$HOME\' \\$HOME\n', ENV, { plainQuotes: true }).text).toBe(
      '"/root" \'/root\' $HOME\n',
    );
  });

  test.each<[string, string]>([
    ['$NONE ${NONE} ${NONE:-a$HOME} ${NONE/a/b}', '$NONE ${NONE} ${NONE:-a/root} ${NONE/a/b}'],
    ['"$HOME" \'x\'', '"/root" \'x\''],
  ])('for display, %j is %j', (word, expected) => {
    expect(expandWord(word, ENV, { rawQuotes: true, keepUnset: true }).text).toBe(expected);
  });

  test('hostile patterns end soon', () => {
    const value = 'a'.repeat(5000);
    expect(expandWord(`\${v##${'*a'.repeat(200)}b}`, () => value).text).toBe(value);
    expect(expandWord(`\${v//${'*a'.repeat(200)}b/}`, () => value).text).toBe(value);
  });
});
