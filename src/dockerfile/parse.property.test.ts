import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BuildError, type SourceRange } from '../contracts/index.ts';
import { expandWord } from './expand.ts';
import { parseMount } from './mount.ts';
import { parseDockerfile, parseInstruction } from './parse.ts';
import type { Dockerfile } from './types.ts';

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
    { numRuns: 5000 },
  );
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
    { numRuns: 2000 },
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
    { numRuns: 5000 },
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
    { numRuns: 2000 },
  );
});
