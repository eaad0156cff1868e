import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BuildError, type SourceRange } from '../contracts/index.ts';
import { expandWord } from './expand.ts';
import { parseMount } from './mount.ts';
import { parseDockerfile, parseInstruction } from './parse.ts';
import type { Dockerfile } from './types.ts';

/** Inputs for each of the larger properties. A million (a few minutes): `PARSER_FUZZ_RUNS=1000000 vitest run parse.property --testTimeout=0`. */
const RUNS = Number(process.env['PARSER_FUZZ_RUNS'] ?? 5000);

/** Text that looks enough like a Dockerfile to get past the first line. */
const piece = fc.constantFrom(
  ...(
    'FROM x AS y|FROM |RUN |COPY |ADD |ENV |ARG |LABEL |CMD |ENTRYPOINT |ONBUILD |HEALTHCHECK |SHELL |VOLUME |EXPOSE |USER |' +
    'WORKDIR |STOPSIGNAL |MAINTAINER |CMD |--from=a |--mount=type=cache,target=/x |--link |-- |a |b=c |$v |${v:-w} |${v |"q" |" |' +
    '\'|\\|`|<<EOF |<<-\'E\' |EOF|E|["a", "b"]|[|]|[1]|,|#|# c|# escape=`|# syntax=x|//syntax=y|{"syntax":"z"}|=|\t| |5s |'
  ).split('|'),
  '\n',
  '\n',
  '\n',
  '\r\n',
  '\\\n',
  '`\n',
  '\n\n',
  '\uFEFF',
  '\u00a0',
  '😀',
  '\ud800',
  '\u2028',
  '\0',
);
const text = fc.oneof(
  fc.array(piece, { maxLength: 40 }).map((parts) => parts.join('')),
  fc.array(piece, { maxLength: 30 }).map((parts) => `FROM x\n${parts.join('')}`),
  fc.string({ unit: 'binary', maxLength: 80 }),
);

function attempt<T>(run: () => T): T | BuildError {
  try {
    return run();
  } catch (error) {
    if (error instanceof BuildError) return error;
    throw error;
  }
}

/** Every range in a value, wherever it is. */
function* rangesIn(value: unknown): Generator<SourceRange> {
  if (typeof value !== 'object' || value === null) return;
  if ('start' in value && 'end' in value) {
    yield value as SourceRange;
    return;
  }
  for (const [key, item] of Object.entries(value)) if (key !== 'file') yield* rangesIn(item);
}

function checkRanges(source: string, ranges: Iterable<SourceRange>): void {
  const lines = source.split('\n');
  for (const { start, end } of ranges) {
    for (const { line, column } of [start, end]) {
      expect(line).toBeGreaterThanOrEqual(1);
      expect(line).toBeLessThanOrEqual(lines.length);
      expect(column).toBeGreaterThanOrEqual(0);
      expect(column).toBeLessThanOrEqual(lines[line - 1]?.length ?? -1);
    }
    expect(start.line < end.line || (start.line === end.line && start.column <= end.column)).toBe(true);
  }
}

function checkOrder(file: Dockerfile): void {
  let line = 0;
  for (const item of [...file.globalArgs, ...file.stages.flatMap((stage) => [stage.from, ...stage.instructions])]) {
    expect(item.range.start.line).toBeGreaterThan(line);
    line = item.range.end.line;
  }
}

test('any text parses or throws a BuildError; ranges are inside the text and in order', () => {
  fc.assert(
    fc.property(text, (source) => {
      const result = attempt(() => parseDockerfile(source));
      if (result instanceof BuildError) {
        expect(result.code).toBe('dockerfile');
        checkRanges(source, result.location?.ranges ?? []);
      } else {
        checkRanges(source, rangesIn(result));
        checkOrder(result);
      }
    }),
    { numRuns: RUNS },
  );
});

/**
 * What takes longer than it is long, if anything does: a parser that goes over the rest again for each of its parts would
 * need hours for these, not the seconds of a test's limit.
 */
test.each<[string, (n: number) => string]>([
  ['many lines', (n) => 'ENV a=b\n'.repeat(n)],
  ['one instruction over many lines', (n) => `RUN a ${'\\\n b '.repeat(n)}`],
  ['many comments in one instruction', (n) => `RUN a \\\n${'# c\n'.repeat(n)} b`],
  ['many blank lines in one instruction', (n) => `RUN a \\\n${'\n'.repeat(n)} b`],
  ['many continuations of nothing', (n) => `RUN a ${'\\\n'.repeat(n)}b`],
  ['many stages', (n) => 'FROM a\n'.repeat(n)],
  ['many stages with names', (n) => Array.from({ length: n }, (_, i) => `FROM a AS s${i}\n`).join('')],
  ['many heredocs', (n) => 'RUN <<E\nE\n'.repeat(n)],
  ['a long heredoc', (n) => `RUN <<E\n${'a\n'.repeat(n)}E`],
  ['many heredocs of one instruction', (n) => `COPY ${'<<E '.repeat(n / 10)} /\n${'E\n'.repeat(n / 10)}`],
  ['many heredocs that are left open', (n) => `RUN a\n${'RUN <<E\n'.repeat(n)}`],
  ['many pairs over lines', (n) => `ENV ${'a=b \\\n'.repeat(n)} c=d`],
  ['many directives that are none', (n) => '# a=b\n'.repeat(n)],
  ['many words in JSON', (n) => `CMD [${'"a",\\\n'.repeat(n)}"b"]`],
  ['brackets that never close', (n) => `CMD ${'[\\\n'.repeat(n)}`],
  ['quotes that never close', (n) => `ENV a=${'"\\\n'.repeat(n)}`],
  ['escapes', (n) => `ENV a=${'\\\\\\\n'.repeat(n)}`],
  ['flags', (n) => `RUN ${'--mount=type=tmpfs,target=/x \\\n'.repeat(n)} a`],
])('%s: twenty times as long is no more than that', (_name, make) => {
  for (const n of [5_000, 100_000]) attempt(() => parseDockerfile(`FROM x\n${make(n)}`));
});

test('an instruction parses again from its own original', () => {
  fc.assert(
    fc.property(text, (source) => {
      const result = attempt(() => parseDockerfile(source));
      if (result instanceof BuildError || result.escape !== '\\') return;
      for (const instruction of result.stages.flatMap((stage) => stage.instructions)) {
        const { original } = instruction;
        if (original.includes('<<') || /[\n\\]|^\W/.test(original)) continue;
        expect(parseInstruction(original)).toMatchObject({ name: instruction.name, original });
      }
    }),
    { numRuns: Math.ceil(RUNS / 2.5) },
  );
});

test('any word expands or throws a BuildError', () => {
  const word = fc
    .array(
      fc.constantFrom(
        '$',
        '{',
        '}',
        'v',
        ':',
        '-',
        '+',
        '?',
        '#',
        '%',
        '/',
        '*',
        '\\',
        '"',
        "'",
        ' ',
        '<',
        'é',
        '😀',
        '1',
      ),
      {
        maxLength: 25,
      },
    )
    .map((parts) => parts.join(''));
  const options = fc.record({
    rawQuotes: fc.boolean(),
    rawEscapes: fc.boolean(),
    plainQuotes: fc.boolean(),
    keepUnset: fc.boolean(),
  });
  fc.assert(
    fc.property(word, options, (source, chosen) => {
      attempt(() => expandWord(source, new Map([['v', 'a/b*c']]), chosen));
    }),
    { numRuns: RUNS },
  );
});

test('text without anything special expands to itself', () => {
  fc.assert(
    fc.property(fc.string({ unit: 'grapheme', maxLength: 40 }), (source) => {
      fc.pre(!/[$'"\\]/.test(source));
      expect(expandWord(source, new Map()).text).toBe(source);
    }),
  );
});

test('any mount value parses or throws a BuildError', () => {
  const field = fc.constantFrom(
    'type=cache',
    'type=secret',
    'type=tmpfs',
    'type=ssh',
    'id=a',
    'target=/x',
    'ro',
    'rw=1',
    'mode=7',
    'uid=x',
    'size=1k',
    '"',
    'from=y',
    'env=E',
    'required',
    '=',
    'sharing=locked',
    '',
  );
  fc.assert(
    fc.property(fc.array(field, { maxLength: 6 }), (fields) => {
      attempt(() => parseMount(fields.join(',')));
    }),
    { numRuns: Math.ceil(RUNS / 2.5) },
  );
});
