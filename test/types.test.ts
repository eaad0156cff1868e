import { execFileSync, spawnSync } from 'node:child_process';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';

/** A package as npm would unpack it, with a project that uses it. */
let project: string;

beforeAll(() => {
  project = mkdtempSync(join(tmpdir(), 'slipway-types-'));
  const installed = join(project, 'node_modules/slipway');
  mkdirSync(installed, { recursive: true });
  cpSync('package.json', join(installed, 'package.json'));
  execFileSync(process.execPath, ['scripts/build.ts', '--outdir', join(installed, 'dist')]);
  execFileSync(process.execPath, ['scripts/types.ts', '--outdir', join(installed, 'dist/types')], {
    env: { ...process.env, npm_command: 'test' },
  });
  for (const name of ['@types', 'koffi'])
    symlinkSync(resolve('node_modules', name), join(project, 'node_modules', name));
  writeFileSync(join(project, 'package.json'), '{"type":"module"}');
});
afterAll(() => rmSync(project, { recursive: true }));

function typeCheck(source: string): string {
  writeFileSync(join(project, 'use.ts'), source);
  const flags = ['--noEmit', '--strict', '--module', 'nodenext', '--target', 'es2023', '--types', 'node', 'use.ts'];
  return spawnSync(process.execPath, [resolve('node_modules/typescript/bin/tsc'), ...flags], {
    cwd: project,
    encoding: 'utf8',
  }).stdout;
}

it('the library and the parser are typed for those who install them', () => {
  const source = `
import { build, check, type BuildOptions, type CheckFinding } from 'slipway';
import { parseDockerfile, type Instruction } from 'slipway/dockerfile';
const options: BuildOptions = { context: '.' };
export const image = async (): Promise<string | undefined> => (await build(options)).image?.digest;
export const rules = async (): Promise<string[]> =>
  (await check({ context: '.' })).findings.map((finding: CheckFinding) => finding.rule.name);
const [stage] = parseDockerfile('FROM a').stages;
const instruction: Instruction | undefined = stage?.instructions[0];
export const from = instruction?.name === 'COPY' ? instruction.from?.text : undefined;
`;
  expect(typeCheck(source)).toBe('');
});

it('types are exact, not any', () => {
  expect(
    typeCheck(
      `import { parseDockerfile } from 'slipway/dockerfile';\nexport const n: number = parseDockerfile('').escape;`,
    ),
  ).toContain("Type 'string' is not assignable to type 'number'");
});

it('the parser is a module of its own', () => {
  const source = `
    import { parseDockerfile, expandWord, BuildError } from 'slipway/dockerfile';
    const { stages } = parseDockerfile('FROM alpine AS base\\nRUN apk add curl');
    let code;
    try { parseDockerfile('FOO'); } catch (error) { code = error instanceof BuildError ? error.code : error; }
    console.log(stages[0].instructions[0].name, expandWord('$A', new Map([['A', 'b']])).text, code);
  `;
  writeFileSync(join(project, 'use.mjs'), source);
  expect(execFileSync(process.execPath, ['use.mjs'], { cwd: project, encoding: 'utf8' })).toBe('RUN b dockerfile\n');
});
