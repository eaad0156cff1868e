import { describe, expect, test } from 'vitest';
import type { Digest } from '../../contracts/index.ts';
import type { ContentListEntry } from '../../store/index.ts';
import type { OpField } from '../op-identity.ts';
import { explainBuild } from './explain.ts';
import { explanationText, reasonText } from './text.ts';
import type { ExplainedBuild, GraphInput, GraphStep, Reason, StepRun } from './types.ts';

const digest = (text: string): Digest => `sha256:${Buffer.from(text).toString('hex').padEnd(64, '0').slice(0, 64)}`;

/** A step to be: what it is looked up by follows from what is said here, unless said. */
interface Literal {
  readonly text: string;
  readonly name?: string;
  readonly stage?: string;
  readonly kind?: GraphStep['kind'];
  readonly on?: number;
  readonly reads?: { readonly from: number; readonly content: string };
  readonly op?: readonly OpField[];
  readonly identifier?: string;
  readonly source?: string;
  readonly lookup?: string | null;
  readonly run?: StepRun;
}

/** Keys are made as the solver makes them: by op, by record of what a step stands on, by content of what it reads. */
function buildOf(id: string, literals: readonly Literal[], args: Record<string, string> = {}): ExplainedBuild {
  const records: string[] = [];
  const counts = new Map<string, number>();
  const steps = literals.map((literal, i): GraphStep => {
    const { text, stage = 'app', kind = 'exec', on, reads, identifier, source } = literal;
    const op = literal.op ?? [
      ['op', kind],
      ['args', ['/bin/sh', '-c', text]],
    ];
    const inputs: GraphInput[] = [];
    if (on !== undefined) inputs.push({ step: on, index: 0, record: records[on] ?? '' });
    if (reads !== undefined) inputs.push({ step: reads.from, index: 0, content: digest(reads.content) });
    const own = JSON.stringify([op, inputs.map(({ content, record }) => content ?? record), source]);
    const lookup = literal.lookup === null ? undefined : (literal.lookup ?? own);
    records.push(literal.run?.key ?? `r ${lookup ?? own}`);
    const isSource = kind === 'image' || kind === 'local' || kind === 'source';
    const at = counts.get(stage) ?? 0;
    if (!isSource) counts.set(stage, at + 1);
    return {
      digest: digest(`${id}${i}`),
      kind,
      name: literal.name ?? `[${stage} ${i + 1}/9] ${text}`,
      text,
      position: isSource ? undefined : { stage, index: stage === 'app' ? 0 : 1, at },
      line: i + 1,
      definition: `d ${own}`,
      lookup,
      op,
      inputs,
      source,
      identifier,
    };
  });
  const runs = literals.map(({ kind, run }): StepRun => run ?? (kind === 'local' ? {} : { outcome: 'ran' }));
  return { id, graph: { version: 1, steps }, runs, args };
}

const lists = new Map<string, readonly ContentListEntry[]>();
const explain = (build: ExplainedBuild, ...earlier: readonly ExplainedBuild[]) =>
  explainBuild(build, { earlier, contentList: (content) => lists.get(content) });
const listed = (content: string, entries: Record<string, Partial<ContentListEntry>>): string => {
  const full = Object.entries(entries).map(([path, entry]): ContentListEntry => ({ path, type: 'file', ...entry }));
  lists.set(digest(content), full);
  return content;
};
const first = (build: ExplainedBuild, at: number, ...earlier: readonly ExplainedBuild[]): Reason | undefined =>
  explain(build, ...earlier).find(({ step }) => step === at)?.reasons[0];

const base: Literal = {
  text: 'FROM node:20',
  kind: 'image',
  identifier: `docker-image://docker.io/library/node:20@${digest('a')}`,
  source: `image ${digest('layers a')}`,
};
const context: Literal = {
  text: '',
  kind: 'local',
  name: '[internal] load build context',
  identifier: 'local://context',
};
const copy = (content: string, more: Partial<Literal> = {}): Literal => ({
  text: 'COPY . .',
  kind: 'file',
  op: [
    ['op', 'file'],
    ['actions', [['copy', '/', '/app']]],
  ],
  on: 0,
  reads: { from: 1, content },
  ...more,
});
const run = (text: string, on: number, more: Partial<Literal> = {}): Literal => ({ text, on, ...more });
const env = (command: string, ...entries: readonly string[]): readonly OpField[] => [
  ['op', 'exec'],
  ['args', ['/bin/sh', '-c', command]],
  ['env', entries],
];

const one = listed('one', { 'src/a': { digest: '1'.repeat(16), mode: 0o644 }, 'src/b': { digest: 'b'.repeat(16) } });

describe('why a step ran', () => {
  const before = buildOf('before', [base, context, copy(one), run('npm ci', 2)]);

  test('nothing was built before', () => {
    expect(explain(before).map(({ reasons }) => reasons)).toEqual([
      [{ kind: 'first-build' }],
      [{ kind: 'first-build' }],
    ]);
  });

  test.each<[string, Record<string, Partial<ContentListEntry>>, Partial<Reason>, string]>([
    [
      'a file changed',
      { 'src/a': { digest: '2'.repeat(16), mode: 0o644 }, 'src/b': { digest: 'b'.repeat(16) } },
      { kind: 'file', change: 'changed', path: 'src/a' },
      'src/a changed (sha256 11111111... -> 22222222...)',
    ],
    [
      'a mode changed',
      { 'src/a': { digest: '1'.repeat(16), mode: 0o755 }, 'src/b': { digest: 'b'.repeat(16) } },
      { kind: 'file', change: 'mode' },
      'src/a mode 0644 -> 0755',
    ],
    [
      'an owner changed',
      { 'src/a': { digest: '1'.repeat(16), mode: 0o644, owner: '1:1' }, 'src/b': { digest: 'b'.repeat(16) } },
      { kind: 'file', change: 'owner' },
      'src/a owner  -> 1:1',
    ],
    [
      'a file was added',
      {
        'src/a': { digest: '1'.repeat(16), mode: 0o644 },
        'src/aa': { digest: 'c'.repeat(16) },
        'src/b': { digest: 'b'.repeat(16) },
      },
      { kind: 'file', change: 'added', path: 'src/aa' },
      'src/aa added',
    ],
    [
      'a file was removed',
      { 'src/b': { digest: 'b'.repeat(16) } },
      { kind: 'file', change: 'removed', path: 'src/a' },
      'src/a removed',
    ],
    [
      'a file became a link',
      { 'src/a': { type: 'symlink', target: 'b' }, 'src/b': { digest: 'b'.repeat(16) } },
      { kind: 'file', change: 'type' },
      'src/a was a file, is a symlink',
    ],
  ])('%s', (what, entries, reason, text) => {
    const now = buildOf('now', [base, context, copy(listed(what, entries)), run('npm ci', 2)]);
    const [copied, ran] = explain(now, before);
    expect(copied?.reasons).toEqual([expect.objectContaining({ input: 'context', ...reason })]);
    expect(copied?.against).toBe('before');
    expect(copied === undefined ? '' : explanationText(copied)).toBe(`line 3: [app 3/9] COPY . .\n    ${text}`);
    // What stands on it says where it comes from.
    expect(ran?.reasons).toEqual([
      { kind: 'parent', line: 3, name: '[app 3/9] COPY . .', cause: expect.objectContaining(reason) as Reason },
    ]);
    expect(ran === undefined ? '' : explanationText(ran)).toContain(`parent step line 3: ${text}`);
  });

  test('files changed of which no list was kept', () => {
    const now = buildOf('now', [base, context, copy('not listed'), run('npm ci', 2)]);
    expect(first(now, 2, before)).toEqual({ kind: 'files', input: 'context', cause: undefined });
  });

  test('of many files the first are named and the others counted', () => {
    const entries = (value: string) =>
      Object.fromEntries(
        Array.from({ length: 50 }, (_, i) => [`f${String(i).padStart(2, '0')}`, { digest: value.repeat(16) }]),
      );
    const build = (id: string, value: string) =>
      buildOf(id, [base, context, copy(listed(`many ${value}`, entries(value)))]);
    const reasons = explain(build('now', '2'), build('then', '1'))[0]?.reasons ?? [];
    expect(reasons).toHaveLength(21);
    expect(reasons.at(-1)).toEqual({ kind: 'files', input: 'context', count: 30, cause: undefined });
    expect(explanationText({ step: 2, name: 'COPY', reasons })).toContain('f00 changed');
    expect(explanationText({ step: 2, name: 'COPY', reasons })).toContain('(+49 more)');
  });

  test('its command changed', () => {
    const now = buildOf('now', [base, context, copy(one), run('npm install', 2)]);
    expect(first(now, 3, before)).toEqual({ kind: 'command', from: 'npm ci', to: 'npm install' });
  });

  test('an ARG or an ENV changed', () => {
    const build = (id: string, version: string, home: string) =>
      buildOf(id, [base, run('make', 0, { op: env('make', `VERSION=${version}`, `HOME=${home}`) })], {
        VERSION: version,
      });
    const now = build('now', '1.3', '/root');
    expect(explain(now, build('then', '1.2', '/'))[0]?.reasons).toEqual([
      { kind: 'variable', scope: 'ARG', name: 'VERSION', from: '1.2', to: '1.3' },
      { kind: 'variable', scope: 'ENV', name: 'HOME', from: '/', to: '/root' },
    ]);
    expect(reasonText({ kind: 'variable', scope: 'ARG', name: 'VERSION', from: '1.2', to: '1.3' })).toBe(
      'ARG VERSION 1.2 -> 1.3',
    );
    expect(reasonText({ kind: 'variable', scope: 'ENV', name: 'A', from: undefined, to: '' })).toBe(
      'ENV A unset -> ""',
    );
  });

  test('a variable in the words of a COPY changed', () => {
    const build = (id: string, version: string) =>
      buildOf(
        id,
        [
          base,
          context,
          copy(one, {
            text: 'COPY v${V}/x /',
            op: [
              ['op', 'file'],
              ['actions', [['copy', `/v${version}/x`]]],
            ],
          }),
        ],
        { V: version },
      );
    expect(first(build('now', '2'), 2, build('then', '1'))).toMatchObject({
      kind: 'variable',
      scope: 'ARG',
      name: 'V',
    });
  });

  test.each<[string, OpField, OpField, string]>([
    ['USER', ['user', ''], ['user', 'app'], 'USER "" -> app'],
    ['WORKDIR', ['cwd', '/'], ['cwd', '/app'], 'WORKDIR / -> /app'],
    [
      'the platform',
      ['platform', ['linux', 'amd64', '', '']],
      ['platform', ['linux', 'arm64', '', '']],
      'platform linux/amd64 -> linux/arm64',
    ],
    ['the network', ['network', 'sandbox'], ['network', 'none'], '--network sandbox -> none'],
  ])('%s changed', (_, from, to, text) => {
    const build = (id: string, field: OpField) => buildOf(id, [base, run('x', 0, { op: [...env('x'), field] })]);
    const reason = first(build('now', to), 1, build('then', from));
    expect(reason === undefined ? '' : reasonText(reason)).toBe(text);
  });

  test('its mounts changed: the instructions are shown', () => {
    const build = (id: string, mount: string) =>
      buildOf(id, [base, run(`RUN --mount=${mount} x`, 0, { op: [...env('x'), ['mounts', [[mount, ['y']]]]] })]);
    expect(first(build('now', 'type=tmpfs,target=/b'), 1, build('then', 'type=tmpfs,target=/a'))).toMatchObject({
      kind: 'option',
      name: '--mount',
      to: 'RUN --mount=type=tmpfs,target=/b x',
    });
  });

  test('the base image has another digest, or is another', () => {
    const other = (name: string, layers: string): Literal => ({
      ...base,
      identifier: `docker-image://docker.io/library/${name}@${digest(layers)}`,
      source: `image ${digest(layers)}`,
    });
    const build = (id: string, image: Literal) => buildOf(id, [image, run('x', 0)]);
    const then = build('then', other('node:20', 'a'));
    expect(first(build('now', other('node:20', 'b')), 1, then)).toEqual({
      kind: 'base',
      name: 'node:20',
      from: digest('a'),
      to: digest('b'),
    });
    const renamed = first(build('now', other('node:22', 'b')), 1, then);
    expect(renamed === undefined ? '' : reasonText(renamed)).toBe('base node:20 -> node:22');
  });

  test('--no-cache, and what stands on it', () => {
    const anew: StepRun = { outcome: 'ran', noCache: true, key: 'r new' };
    const now = buildOf('now', [base, context, copy(one, { run: anew }), run('npm ci', 2)]);
    expect(first(now, 2, before)).toEqual({ kind: 'no-cache' });
    expect(first(now, 3, before)).toMatchObject({ kind: 'parent', line: 3, cause: { kind: 'no-cache' } });
  });

  test('its result is gone, it failed, or its bytes are needed', () => {
    const again = buildOf('now', [base, context, copy(one), run('npm ci', 2)]);
    expect(first(again, 3, before)).toEqual({ kind: 'pruned' });
    const failed = buildOf('failed', [base, context, copy(one), run('npm ci', 2, { run: { outcome: 'failed' } })]);
    expect(first(again, 3, failed)).toEqual({ kind: 'unfinished' });
    const refilled = buildOf('now', [base, context, copy(one), run('npm ci', 2, { run: { outcome: 'refilled' } })]);
    expect(first(refilled, 3, before)).toEqual({ kind: 'bytes' });
  });

  test('the build before ended earlier: the one before that tells', () => {
    const cut = buildOf('cut', [
      base,
      context,
      copy('broken', { run: { outcome: 'failed' } }),
      run('npm ci', 2, { lookup: null, run: {} }),
    ]);
    const now = buildOf('now', [base, context, copy('third'), run('npm ci', 2)]);
    expect(explain(now, cut, before).map(({ against }) => against)).toEqual(['cut', 'before']);
  });

  test('a step was put before it, or taken away', () => {
    const more = buildOf('more', [base, context, copy(one), run('apt-get update', 2), run('npm ci', 3)]);
    expect(first(more, 3, before)).toEqual({ kind: 'new-step' });
    expect(first(more, 4, before)).toMatchObject({ kind: 'parent', line: 4, cause: { kind: 'new-step' } });
    expect(first(before, 3, more)).toEqual({ kind: 'removed-step', name: '[app 4/9] apt-get update' });
  });

  test('a step in a stage that was renamed is known by its place', () => {
    const build = (id: string, stage: string, command: string) => buildOf(id, [base, run(command, 0, { stage })]);
    expect(first(build('now', 'builder', 'make b'), 1, build('then', 'build', 'make a'))).toEqual({
      kind: 'command',
      from: 'make a',
      to: 'make b',
    });
  });

  test('a file of another stage changed: what made it do so is told', () => {
    const then = listed('bin 1', { 'app/bin': { digest: '1'.repeat(16) } });
    const now = listed('bin 2', { 'app/bin': { digest: '2'.repeat(16) } });
    const build = (id: string, source: string, binary: string) =>
      buildOf(id, [
        base,
        context,
        copy(source, { stage: 'build' }),
        run('make', 2, { stage: 'build' }),
        copy(binary, { text: 'COPY --from=build /app/bin /', on: 0, reads: { from: 3, content: binary } }),
      ]);
    const changed = listed('src 2', {
      'src/a': { digest: '9'.repeat(16), mode: 0o644 },
      'src/b': { digest: 'b'.repeat(16) },
    });
    const reason = first(build('now', changed, now), 4, build('then', one, then));
    expect(reason).toMatchObject({ kind: 'file', path: 'app/bin', input: 'stage build' });
    expect(reason === undefined ? '' : reasonText(reason)).toBe(
      '/app/bin of stage build changed (sha256 11111111... -> 22222222...), from line 4: src/a changed (sha256 11111111... -> 99999999...)',
    );
  });

  test('values cannot confuse a terminal, and long ones are cut', () => {
    const text = reasonText({ kind: 'command', from: 'a\n\u001b[2J', to: 'x'.repeat(500) });
    expect(text).not.toMatch(/[\u0000-\u001f]/);
    expect(text.length).toBeLessThan(120);
  });
});
