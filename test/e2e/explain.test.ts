import { execFileSync } from 'node:child_process';
import { chmodSync, cpSync, renameSync, rmSync, utimesSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout, writeLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';

beforeAll(() => {
  base = `oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

interface Explained {
  readonly id: string;
  readonly explanations: readonly {
    readonly line: number;
    readonly name: string;
    readonly reasons: readonly object[];
  }[];
}

/** A project that is built again and again. */
class Project {
  readonly dir: string;
  readonly #args: readonly string[];

  constructor(name: string, files: Readonly<Record<string, string>>, args: readonly string[] = []) {
    this.dir = bench.context(name, files);
    this.#args = ['--build-context', `busybox=${base}`, ...args];
  }

  write(files: Readonly<Record<string, string>>): void {
    for (const [path, content] of Object.entries(files)) writeFileSync(join(this.dir, path), content);
  }

  /** @returns What `slipway explain` says of the build: line and first reason in words. */
  async build(...args: readonly string[]): Promise<readonly string[]> {
    const built = await bench.run(['build', '--explain', '--progress=quiet', ...this.#args, ...args, this.dir]);
    expect(built).toMatchObject({ code: 0 });
    const said = (await bench.run(['explain'])).stdout;
    // At the end of the build the same is said.
    expect(built.stderr).toContain(said);
    return [...said.matchAll(/^line (\d+): .*\n {4}(.*)$/gm)].map(([, line = '', reason = '']) => `${line}: ${reason}`);
  }

  async plan(...args: readonly string[]) {
    const { code, stdout, stderr } = await bench.run(['plan', ...this.#args, ...args, this.dir]);
    return { code, stderr, text: stdout };
  }
}

const explained = async (build = 'latest'): Promise<Explained> =>
  JSON.parse((await bench.run(['explain', '--json', build])).stdout) as Explained;

const TWO_STAGES = `FROM busybox AS build
ARG VERSION=1
WORKDIR /app
COPY src src
RUN cat src/* > all; echo $VERSION > version
FROM busybox
COPY --from=build /app/all /all
RUN wc -c /all > /count
`;

describe('explain', () => {
  it('first build; nothing; a changed, added and removed file; what stands on it, and what copies from it', async () => {
    const project = new Project('files', { Dockerfile: TWO_STAGES, 'src/a': '1', 'src/b': '2', unrelated: 'x' });
    expect(await project.build()).toEqual([3, 4, 5, 7, 8].map((line) => `${line}: first build`));
    expect(await project.build()).toEqual([]);
    expect((await bench.run(['explain'])).stdout).toBe('every step was cached\n');

    project.write({ 'src/a': '9' });
    const changed = 'src/a changed (sha256 6b86b273... -> 19581e27...)';
    expect(await project.build()).toEqual([
      `4: ${changed}`,
      `5: parent step line 4: ${changed}`,
      expect.stringMatching(/^7: \/app\/all of stage build changed \(sha256 .* -> .*\), from line 5: src\/a changed/),
      expect.stringMatching(/^8: parent step line 7: \/app\/all of stage build changed/),
    ]);
    project.write({ 'src/c': '' });
    // The new file is empty: the stage is built to the same bytes, and its consumer stays cached.
    expect(await project.build()).toEqual(['4: src/c added', '5: parent step line 4: src/c added']);
    rmSync(join(project.dir, 'src/c'));
    project.write({ unrelated: 'y' });
    expect(await project.build()).toEqual([]);
    rmSync(join(project.dir, 'src/b'));
    expect(await project.build()).toContain('4: src/b removed');
    renameSync(join(project.dir, 'src/a'), join(project.dir, 'src/b'));
    expect(await project.build()).toContain('4: src/a removed (+1 more)');
  });

  it('one changed byte in one of 5,000 files names that file', async () => {
    const files = Object.fromEntries(
      Array.from({ length: 5000 }, (_, i) => [`src/d${i % 50}/f${i}`, `content of ${i}\n`]),
    );
    const project = new Project('many', { Dockerfile: 'FROM busybox\nCOPY src /src\n', ...files });
    await project.build();
    project.write({ 'src/d17/f3117': 'Content of 3117\n' });
    expect(await project.build()).toEqual([
      expect.stringMatching(/^2: src\/d17\/f3117 changed \(sha256 \w{8}\.\.\. -> \w{8}\.\.\.\)$/),
    ]);
    const { explanations } = await explained();
    expect(explanations).toHaveLength(1);
    expect(explanations[0]?.reasons).toEqual([
      expect.objectContaining({ kind: 'file', change: 'changed', path: 'src/d17/f3117', input: 'context' }),
    ]);
  });

  it('modes; under --chmod they do not count; touch changes nothing', async () => {
    const file = 'FROM busybox\nCOPY run.sh /run.sh\nCOPY --chmod=0644 conf /conf\n';
    const project = new Project('modes', { Dockerfile: file, 'run.sh': '#!/bin/sh\n', conf: 'x' });
    for (const name of ['run.sh', 'conf']) chmodSync(join(project.dir, name), 0o644);
    await project.build();
    chmodSync(join(project.dir, 'conf'), 0o664);
    utimesSync(join(project.dir, 'run.sh'), 1, 2);
    expect(await project.build()).toEqual([]);
    chmodSync(join(project.dir, 'run.sh'), 0o755);
    expect(await project.build()).toEqual([
      '2: run.sh mode 0644 -> 0755',
      '3: parent step line 2: run.sh mode 0644 -> 0755',
    ]);
    // The same project elsewhere: no path of the machine counts.
    cpSync(project.dir, join(bench.dir, 'modes-copy'), { recursive: true, preserveTimestamps: false });
    const copy = new Project('modes-copy', {});
    expect(await copy.build()).toEqual([]);
  });

  it('ARG, ENV, the command, USER, WORKDIR, a mount', async () => {
    const file = (env: string, user: string, command: string) =>
      `FROM busybox\nARG VERSION=1\nENV MODE=${env}\nUSER ${user}\nRUN ${command}\n`;
    const project = new Project('args', { Dockerfile: file('a', 'root', 'true') });
    await project.build();
    expect(await project.build('--build-arg', 'VERSION=1.2')).toEqual(['5: ARG VERSION 1 -> 1.2']);
    project.write({ Dockerfile: file('b', 'root', 'true') });
    expect(await project.build('--build-arg', 'VERSION=1.2')).toEqual(['5: ENV MODE a -> b']);
    project.write({ Dockerfile: file('b', 'app', 'true') });
    expect(await project.build('--build-arg', 'VERSION=1.2')).toEqual(['5: USER root -> app']);
    project.write({ Dockerfile: file('b', 'app', 'echo hello') });
    expect(await project.build('--build-arg', 'VERSION=1.2')).toEqual(['5: command changed: true -> echo hello']);
    project.write({ Dockerfile: file('b', 'app', '--mount=type=tmpfs,target=/t echo hello') });
    expect(await project.build('--build-arg', 'VERSION=1.2')).toEqual([
      '5: --mount RUN echo hello -> RUN --mount=type=tmpfs,target=/t echo hello',
    ]);
  });

  it('a variable in a COPY, a here-document, a step that is new or gone', async () => {
    const file = (text: string, more = '') =>
      `FROM busybox\nARG V=1\n${more}COPY v$V /v\nCOPY <<EOF /note\n${text}\nEOF\n`;
    const project = new Project('words', { Dockerfile: file('one'), v1: 'a', v2: 'b' });
    await project.build();
    expect(await project.build('--build-arg', 'V=2')).toEqual([
      '3: ARG V 1 -> 2 (+2 more)',
      '4: parent step line 3: ARG V 1 -> 2',
    ]);
    project.write({ Dockerfile: file('two') });
    expect(await project.build('--build-arg', 'V=2')).toEqual(['4: here-document changed']);
    project.write({ Dockerfile: file('two', 'RUN true\n') });
    expect(await project.build('--build-arg', 'V=2')).toEqual([
      '3: new step',
      '4: parent step line 3: new step',
      '5: parent step line 4: new step',
    ]);
    project.write({ Dockerfile: file('two', 'RUN true\nRUN true\n') });
    await project.build('--build-arg', 'V=2');
    project.write({ Dockerfile: file('three', 'RUN true\n') });
    expect(await project.build('--build-arg', 'V=2')).toContain('5: here-document changed (+1 more)');
  });

  it('--no-cache, --no-cache-filter, pruned, and what failed the last time', async () => {
    const project = new Project('anew', { Dockerfile: TWO_STAGES, 'src/a': '1' });
    await project.build();
    expect(await project.build('--no-cache')).toEqual([3, 4, 5, 7, 8].map((line) => `${line}: --no-cache`));
    expect(await project.build('--no-cache-filter=build')).toEqual([4, 5].map((line) => `${line}: --no-cache`));

    const db = new DatabaseSync(join(bench.dir, 'state/db.sqlite'));
    db.exec("DELETE FROM record WHERE description LIKE '%wc -c /all > /count%'");
    db.close();
    expect(await project.build()).toEqual(['8: pruned: its result is not in the store any more']);

    const pruned = await bench.run(['prune', '--filter', 'description~=wc -c /all']);
    expect(pruned.stdout).toMatch(/^Removed: \d+ step/);
    expect(await project.build()).toEqual(['8: pruned: its result is not in the store any more']);
    expect((await bench.run(['prune'])).stdout).toMatch(/^Removed: .*\d+ steps/);
    // The results that were made anew above had names of their own: what stood on them is told where that began.
    const gone = 'pruned: its result is not in the store any more';
    expect(await project.build()).toEqual([
      `3: ${gone}`,
      `4: parent step line 3: ${gone}`,
      `5: parent step line 4: ${gone}`,
      `7: ${gone}`,
      `8: parent step line 7: ${gone}`,
    ]);
    await bench.run(['prune']);
    expect(await project.build()).toEqual([3, 4, 5, 7, 8].map((line) => `${line}: ${gone}`));

    project.write({ Dockerfile: `${TWO_STAGES}RUN test -e /proc/1 && test "$(cat /all)" = 2\n` });
    const failed = await bench.run([
      'build',
      '--explain',
      '--progress=quiet',
      '--build-context',
      `busybox=${base}`,
      project.dir,
    ]);
    expect(failed.code).toBe(1);
    expect(failed.stderr).toContain('line 9: [stage-1 3/4] RUN test -e /proc/1');
    expect(failed.stderr).toContain('    new step\n');
    const again = await bench.run([
      'build',
      '--explain',
      '--progress=quiet',
      '--build-context',
      `busybox=${base}`,
      project.dir,
    ]);
    expect(again.stderr).toContain('    it did not finish the last time\n');
  });

  it('the base image', async () => {
    const project = new Project('base', { Dockerfile: 'FROM tools\nCOPY Dockerfile /\n' });
    const layout = (name: string, content: string) => {
      const dir = bench.context(`${name}-root`, { content });
      const tar = execFileSync('tar', ['--sort=name', '--mtime=@0', '-C', dir, '-cf', '-', '.']);
      return `oci-layout://${writeLayout(join(bench.dir, name), [tar], {})}:latest`;
    };
    const [one, two] = [layout('tools-1', '1'), layout('tools-2', '2')];
    await project.build('--build-context', `tools=${one}`);
    expect(await project.build('--build-context', `tools=${one}`)).toEqual([]);
    // As when a tag is pushed anew: the same name, another image.
    rmSync(join(bench.dir, 'tools-1'), { recursive: true });
    cpSync(join(bench.dir, 'tools-2'), join(bench.dir, 'tools-1'), { recursive: true });
    expect(await project.build('--build-context', `tools=${one}`)).toEqual([
      expect.stringMatching(/^2: base tools digest sha256:\w{12} -> sha256:\w{12}$/),
    ]);
    // The same layers under another name are the same.
    expect(await project.build('--build-context', `tools=${two}`)).toEqual([]);
  });

  it('is a line of JSON among others', async () => {
    const context = bench.context('raw', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /raw\n' });
    const { stderr } = await bench.run(['build', '--explain', '--progress=rawjson', context]);
    const lines = stderr
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as object);
    expect(lines.at(-1)).toMatchObject({ explanations: [{ line: 2, reasons: [{ kind: 'first-build' }] }] });
  });

  it('says what it cannot find', async () => {
    const none = await bench.run(['explain', 'nosuchbuild']);
    expect(none).toMatchObject({ code: 2, stdout: '' });
    expect(none.stderr).toContain('there is no build nosuchbuild');
  });
});

describe('plan', () => {
  it('says HIT or MISS and why, runs nothing, and has the exit code to show for it', async () => {
    const project = new Project('plan', { Dockerfile: TWO_STAGES, 'src/a': 'plan 1' });
    const before = await project.plan('--no-cache');
    expect(before.code).toBe(1);
    expect(before.text.match(/^MISS {3}line \d+: .*\n {11}--no-cache$/gm)).toHaveLength(5);
    const first = await project.plan('--build-arg', 'VERSION=plan');
    expect(first.text).toMatch(/^MISS {3}line 4: \[build \d\/4\] COPY src src\n {11}first build$/m);
    expect(first.text).toMatch(/^MISS\? {2}line 7: .*\n {11}unknown until line 5 has run$/m);
    expect(first.text).toMatch(/^MISS\? {2}line 8: .*\n {11}unknown until line 5 has run$/m);
    await project.build();
    const after = await project.plan();
    expect(after).toMatchObject({ code: 0, stderr: '' });
    expect(after.text.match(/^HIT {4}line \d+: /gm)).toHaveLength(5);

    project.write({ 'src/a': 'plan 2' });
    const changed = await project.plan();
    expect(changed.code).toBe(1);
    expect(changed.text).toContain('MISS   line 4: [build 2/4] COPY src src\n           src/a changed (sha256 ');
    expect(changed.text).toContain('MISS   line 5: ');
    expect(changed.text).toContain('HIT    line 3: ');
    expect((await project.plan('--target=build', '--no-cache')).text.match(/--no-cache/g)).toHaveLength(3);
    // What was planned is what a build then does.
    expect((await project.build()).map((text) => text.split(':')[0])).toEqual(['4', '5', '7', '8']);
    const json = JSON.parse((await project.plan('--json')).text) as { cached: boolean; steps: { status: string }[] };
    expect(json.cached).toBe(true);
    expect(json.steps.map(({ status }) => status)).toEqual(Array(5).fill('hit'));
  });

  it('fails as a build would', async () => {
    const project = new Project('plan-errors', { Dockerfile: 'FROM busybox\nCOPY nothing /\n' });
    const { code, stderr } = await project.plan();
    expect(code).toBe(1);
    expect(stderr).toContain('Dockerfile:2');
    expect((await bench.run(['plan'])).code).toBe(2);
  });
});

describe('records of builds', () => {
  it('are listed, compared, and found by the beginning of their id', async () => {
    const project = new Project('records', { Dockerfile: TWO_STAGES, 'src/a': 'r1' });
    await project.build('-t', 'records', '--build-arg', 'VERSION=1');
    project.write({ 'src/a': 'r2' });
    await project.build('-t', 'records', '--build-arg', 'VERSION=2');
    const list = JSON.parse((await bench.run(['builds', '--json'])).stdout) as Record<string, unknown>[];
    expect(list[0]).toMatchObject({ result: 'done', ran: 4, cached: 1, context: project.dir, tags: ['records'] });
    expect(list[1]).toMatchObject({ result: 'done', ran: 4, cached: 1 });
    expect((await bench.run(['builds'])).stdout).toContain(`${String(list[0]?.['id'])}   `);

    const id = String(list[1]?.['id']);
    const text = (await bench.run(['diff', id.slice(0, 6), 'latest'])).stdout;
    expect(text).toContain('ARG VERSION 1 -> 2\n');
    expect(text).toMatch(/^ {6}src\/a changed \(sha256 /m);
    expect(text).toMatch(/^image sha256:\w{64} -> sha256:\w{64}$/m);
    expect(text).toMatch(/^ {2}line 4: \[build 2\/4\] COPY src src$/m);
    const diff = JSON.parse((await bench.run(['diff', '--json', id, 'latest'])).stdout) as Record<string, unknown>;
    expect(diff).toMatchObject({
      args: [{ name: 'VERSION', from: '1', to: '2' }],
      bases: [],
      options: [],
      before: { id },
    });
    expect((await bench.run(['diff', 'latest', 'latest'])).stdout).toMatch(/^build (\w+) -> \1\ntime .*\n$/);
    expect((await bench.run(['diff', 'latest'])).code).toBe(2);
  });

  it('go with the cache', async () => {
    const env = { SLIPWAY_ROOT: join(bench.dir, 'pruned-state') };
    const context = bench.context('pruned', { Dockerfile: 'FROM scratch\nCOPY Dockerfile /\n' });
    await bench.run(['build', context], { env });
    expect((await bench.run(['builds', '-q'], { env })).stdout).toMatch(/^\w+\n$/);
    await bench.run(['prune', '--until', '1h'], { env });
    expect((await bench.run(['builds', '-q'], { env })).stdout).toMatch(/^\w+\n$/);
    await bench.run(['prune', '--all', '--force'], { env });
    expect((await bench.run(['builds', '-q'], { env })).stdout).toBe('');
  });

  it('tell of a build that failed', async () => {
    const project = new Project('failing', { Dockerfile: 'FROM busybox\nRUN exit 3\n' });
    await bench.run(['build', '--build-context', `busybox=${base}`, project.dir]);
    const [build] = JSON.parse((await bench.run(['builds', '--json'])).stdout) as Record<string, unknown>[];
    expect(build).toMatchObject({ result: 'failed', ran: 1 });
    await bench.run(['build', bench.context('not-even', { Dockerfile: 'FORM x\n' })]);
    const [broken] = JSON.parse((await bench.run(['builds', '--json'])).stdout) as Record<string, unknown>[];
    expect(broken).toMatchObject({ result: 'failed', ran: 0, cached: 0 });
  });
});

it('builds that found everything have one graph, which is kept once', async () => {
  const context = bench.context('same-graph', { Dockerfile: 'FROM scratch\nCOPY file /file\n', file: 'a' });
  const env = { SLIPWAY_ROOT: join(bench.dir, 'same-graph-state') };
  for (let i = 0; i < 3; i++) expect((await bench.run(['build', context], { env })).code).toBe(0);
  const db = new DatabaseSync(join(env.SLIPWAY_ROOT, 'db.sqlite'), { readOnly: true });
  const graphs = db
    .prepare('SELECT graph FROM build ORDER BY created')
    .all()
    .map(({ graph }) => graph);
  expect(graphs).toHaveLength(3);
  expect(graphs[2]).toBe(graphs[1]);
  // The step that reads the context is another one when its content is.
  writeFileSync(join(context, 'file'), 'b');
  expect((await bench.run(['build', context], { env })).code).toBe(0);
  const newest = db.prepare('SELECT graph FROM build ORDER BY created DESC LIMIT 1').get()?.['graph'];
  db.close();
  expect(graphs).not.toContain(newest);
});
