import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Writable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BuildError } from '../../index.ts';
import { buildCommand } from '../build.ts';
import { checkCommand } from '../check.ts';
import { parseCommand, type Command, type Io } from '../command.ts';

let root: string;
beforeAll(() => {
  root = mkdtempSync(join(tmpdir(), 'slipway-check-cli-'));
});
afterAll(() => rmSync(root, { recursive: true }));

function directory(files: Readonly<Record<string, string>>): string {
  const made = mkdtempSync(join(root, 'x'));
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(made, path, '..'), { recursive: true });
    writeFileSync(join(made, path), text);
  }
  return made;
}

interface Ran {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

async function run(command: Command, cwd: string, ...argv: string[]): Promise<Ran> {
  const out = { stdout: '', stderr: '' };
  const sink = (name: 'stdout' | 'stderr'): NodeJS.WriteStream =>
    new Writable({
      write(chunk: Buffer, _encoding, done) {
        out[name] += chunk.toString();
        done();
      },
    }) as unknown as NodeJS.WriteStream;
  const io: Io = {
    stdin: process.stdin,
    stdout: sink('stdout'),
    stderr: sink('stderr'),
    env: {},
    cwd,
    signal: new AbortController().signal,
  };
  const code = await command.run(await parseCommand(command, argv), io);
  return { code, ...out };
}

const WARNED = 'FROM scratch as a\nCOPY a /\n';
const TOKEN = 'ghp_0123456789abcdefghijABCDEFGHIJ012345';

describe('slipway check', () => {
  it('prints each finding with its excerpt, as docker does, and a hint', async () => {
    expect(await run(checkCommand, directory({ Dockerfile: WARNED }), '.')).toEqual({
      code: 1,
      stderr: '',
      stdout: `Check complete, 1 warning has been found!

WARNING: FromAsCasing - https://docs.docker.com/go/dockerfile/rule/from-as-casing/
as is not in the case of FROM
Dockerfile:1
--------------------
   1 | >>> FROM scratch as a
   2 |     COPY a /
--------------------
hint: write AS
`,
    });
  });

  it('says that there is nothing', async () => {
    const { stdout, code } = await run(checkCommand, directory({ Dockerfile: 'FROM scratch\nCOPY a /\n' }), '.');
    expect([stdout, code]).toEqual(['Check complete, no warnings found.\n', 0]);
  });

  it.each([
    ['notes', 'FROM a AS x\nFROM b\n', [], 0],
    ['notes, when they count', 'FROM a AS x\nFROM b\n', ['--fail-on', 'info'], 1],
    ['warnings', WARNED, [], 1],
    ['warnings, when only errors count', WARNED, ['--fail-on=error'], 0],
    ['a secret', `FROM scratch\nENV A=${TOKEN}\n`, ['--fail-on=error'], 1],
    ['an error of the build', 'FROM scratch\nCOPY --from=3 /a /\n', ['--fail-on=error'], 1],
    ['anything, when nothing counts', WARNED, ['--fail-on=never'], 0],
    ['rules that are left out', WARNED, ['--skip', 'FromAsCasing,Other'.replace(',Other', '')], 0],
    ['rules that are taken in', 'FROM alpine\n', ['--enable=UnpinnedBaseImage', '--fail-on=info'], 1],
  ])('has an exit code for %s', async (_name, text, flags, code) => {
    expect((await run(checkCommand, directory({ Dockerfile: text }), ...flags, '.')).code).toBe(code);
  });

  it.each([[['.', '..']], [[]], [['--format', 'xml', '.']], [['--fail-on', 'bad', '.']], [['--skip', 'Nope', '.']]])(
    'refuses %j',
    async (argv) => {
      await expect(run(checkCommand, directory({ Dockerfile: WARNED }), ...argv)).rejects.toMatchObject({
        code: 'usage',
      });
    },
  );

  it('neither shows secrets nor speaks to the terminal', async () => {
    const text = `FROM scratch\nENV A=${TOKEN} B=\u001b[2J\nFROM scratch as \u001b]0;x\u0007\n`;
    const { stdout } = await run(
      checkCommand,
      directory({ Dockerfile: `FROM scratch\nENV A=${TOKEN} B=\u001b[2J\n` }),
      '.',
    );
    expect(stdout).toContain('ENV A=*** B=');
    expect(stdout).not.toContain(TOKEN);
    for (const format of ['text', 'github', 'json', 'sarif']) {
      const all = await run(checkCommand, directory({ Dockerfile: text }), '--format', format, '.');
      expect(all.stdout).not.toMatch(/[\u0000-\u0008\u000b-\u001f\u007f]/);
    }
  });

  it('prints the JSON of docker, with more', async () => {
    const { stdout } = await run(
      checkCommand,
      directory({ Dockerfile: 'FROM scratch as a\nFOO\n' }),
      '--format=json',
      '.',
    );
    expect(JSON.parse(stdout)).toEqual({
      warnings: [
        {
          ruleName: 'FromAsCasing',
          description: 'AS is written in the case of its FROM',
          url: 'https://docs.docker.com/go/dockerfile/rule/from-as-casing/',
          detail: 'as is not in the case of FROM',
          location: { ranges: [{ start: { line: 1, character: 13 }, end: { line: 1, character: 15 } }] },
          severity: 'warning',
          hint: 'write AS',
          fixable: true,
        },
      ],
      sources: [
        {
          filename: 'Dockerfile',
          language: 'Dockerfile',
          data: Buffer.from('FROM scratch as a\nFOO\n').toString('base64'),
        },
      ],
      buildError: { message: expect.stringContaining('FOO') as unknown, location: expect.anything() as unknown },
      errors: [expect.objectContaining({ code: 'dockerfile' })],
    });
  });

  it('prints SARIF 2.1.0', async () => {
    const cwd = directory({ 'a b/Dockerfile': 'FROM scratch as a\nENV k v\nCOPY --from=9 / /\n' });
    const { stdout } = await run(checkCommand, cwd, '--format=sarif', 'a b');
    const log = JSON.parse(stdout) as Sarif;
    expect(log).toMatchObject({ version: '2.1.0', $schema: 'https://json.schemastore.org/sarif-2.1.0.json' });
    const [{ tool, results, columnKind }] = log.runs;
    expect(columnKind).toBe('utf16CodeUnits');
    for (const { ruleId, ruleIndex, level, message, locations } of results) {
      expect(tool.driver.rules[ruleIndex]?.id).toBe(ruleId);
      expect(['error', 'warning', 'note']).toContain(level);
      expect(message.text).not.toBe('');
      expect(locations).toHaveLength(1);
    }
    expect(results.map(({ ruleId }) => ruleId)).toEqual(['FromAsCasing', 'LegacyKeyValueFormat', 'BuildError']);
    expect(results[0]?.locations[0]?.physicalLocation).toEqual({
      artifactLocation: { uri: 'a%20b/Dockerfile' },
      region: { startLine: 1, startColumn: 14, endLine: 1, endColumn: 16 },
    });
    expect(results[1]?.fixes?.[0]?.artifactChanges[0]?.replacements).toEqual([
      { deletedRegion: { startLine: 2, startColumn: 6, endLine: 2, endColumn: 7 }, insertedContent: { text: '=' } },
    ]);
  });

  it('prints annotations that a file cannot forge', async () => {
    const { stdout } = await run(
      checkCommand,
      directory({ 'a,b:c/Dockerfile': 'FROM scratch as a\nCMD x%0A::error::y\n' }),
      '--format=github',
      'a,b:c',
    );
    const lines = stdout.trimEnd().split('\n');
    expect(lines[0]).toBe(
      '::warning file=a%2Cb%3Ac/Dockerfile,line=1,endLine=1,col=14,endColumn=16,title=FromAsCasing::as is not in the case of FROM%0Awrite AS',
    );
    expect(lines).toHaveLength(2);
    expect(lines.every((line) => line.startsWith('::warning file='))).toBe(true);
  });

  it('shows repairs as a diff that patch takes, and writes nothing', async () => {
    const filler = Array.from({ length: 12 }, (_, i) => `RUN step${i}`).join('\n');
    const text = `FROM a as b\n${filler}\nENV k v\nRUN x\nFROM b\nCMD y z`;
    const cwd = directory({ Dockerfile: text });
    const { stdout, code } = await run(checkCommand, cwd, '--diff', '.');
    expect(code).toBe(1);
    expect(readFileSync(join(cwd, 'Dockerfile'), 'utf8')).toBe(text);
    expect(stdout.match(/^@@ .*$/gm)).toEqual(['@@ -1,4 +1,4 @@', '@@ -11,7 +11,7 @@']);
    expect(stdout).toContain('\\ No newline at end of file\n');
    execFileSync('git', ['apply', '--unsafe-paths', '-'], {
      cwd,
      input: stdout,
      env: { PATH: process.env['PATH'], GIT_DIR: '/nowhere' },
    });
    const patched = readFileSync(join(cwd, 'Dockerfile'), 'utf8');
    expect(patched).toBe(text.replace(' as ', ' AS ').replace('k v', 'k=v').replace('CMD y z', 'CMD ["y", "z"]'));
    expect((await run(checkCommand, cwd, '--diff', '.')).stdout).toBe('');
  });

  it('repairs, and says how much', async () => {
    const cwd = directory({ Dockerfile: WARNED });
    expect(await run(checkCommand, cwd, '--fix', '.')).toEqual({
      code: 0,
      stderr: '1 repair in Dockerfile\n',
      stdout: 'Check complete, no warnings found.\n',
    });
  });

  it('lists its rules', async () => {
    const { stdout } = await run(checkCommand, root, '--rules');
    expect(stdout).toMatch(/^RULE +SEVERITY +DEFAULT +ORIGIN +ASKS THAT\n/);
    expect(stdout).toMatch(/^UnusedStage +info +on +slipway +Every stage/m);
  });
});

describe('slipway build --call', () => {
  it('checks with --check, too', async () => {
    const cwd = directory({ Dockerfile: WARNED });
    const long = await run(buildCommand, cwd, '--call=check', '.');
    expect(long).toEqual(await run(buildCommand, cwd, '--check', '.'));
    expect(long.code).toBe(1);
    expect((await run(buildCommand, cwd, '--call=check,ignorestatus=true', '.')).code).toBe(0);
    const json = JSON.parse((await run(buildCommand, cwd, '--call=check,format=json', '.')).stdout) as object;
    expect(json).toHaveProperty('warnings.0.ruleName', 'FromAsCasing');
  });

  const FILE =
    '# V is it\nARG V=1\n# b builds\nFROM a:$V AS b\nRUN --mount=type=secret,id=s,required --mount=type=ssh --mount=type=cache,target=/c x\nFROM b\nFROM b AS last\n';

  it('prints the outline as docker does', async () => {
    const { stdout } = await run(buildCommand, directory({ Dockerfile: FILE }), '--call=outline', '--target=b', '.');
    expect(stdout).toBe(
      'TARGET:      b\nDESCRIPTION: builds\n\nBUILD ARG   VALUE   DESCRIPTION\nV           1       is it\n\nSECRET   REQUIRED\ns        true\n\nSSH       REQUIRED\ndefault\n\nCACHE\n/c\n\n',
    );
  });

  it('prints the targets as docker does', async () => {
    const cwd = directory({ Dockerfile: FILE });
    expect((await run(buildCommand, cwd, '--call=targets', '.')).stdout).toBe(
      'TARGET           DESCRIPTION\nb                builds\nlast (default)\n',
    );
    const json = JSON.parse((await run(buildCommand, cwd, '--call=targets,format=json', '.')).stdout) as {
      targets: object[];
    };
    expect(json.targets.map((target) => ({ ...target, location: undefined }))).toEqual([
      { name: 'b', description: 'builds', base: 'a:$V' },
      { base: 'b' },
      { name: 'last', default: true, base: 'b' },
    ]);
  });

  it.each(['--call=nothing', '--call=check,format=xml', '--call=check,foo=bar'])('refuses %s', async (flag) => {
    const thrown = await run(buildCommand, directory({ Dockerfile: FILE }), flag, '.').catch((error: unknown) => error);
    expect(thrown).toBeInstanceOf(BuildError);
    expect(thrown).toMatchObject({ code: 'usage' });
  });
});

interface Sarif {
  readonly version: string;
  readonly runs: readonly [
    {
      readonly columnKind: string;
      readonly tool: { readonly driver: { readonly rules: readonly { readonly id: string }[] } };
      readonly results: readonly {
        readonly ruleId: string;
        readonly ruleIndex: number;
        readonly level: string;
        readonly message: { readonly text: string };
        readonly locations: readonly { readonly physicalLocation: object }[];
        readonly fixes?: readonly {
          readonly artifactChanges: readonly { readonly replacements: readonly object[] }[];
        }[];
      }[];
    },
  ];
}
