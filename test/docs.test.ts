import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { expect, it } from 'vitest';
import { VERSION } from '../src/index.ts';

it('the page of the command line is what the tables of flags say', () => {
  const check = spawnSync(process.execPath, ['scripts/cli-docs.ts', '--check'], { encoding: 'utf8' });
  expect(check.status, check.stderr).toBe(0);
});

it('the page of checks is what the table of rules says', () => {
  const check = spawnSync(process.execPath, ['scripts/check-docs.ts', '--check'], { encoding: 'utf8' });
  expect(check.status, check.stderr).toBe(0);
});

it('the page on scale has the tables that the model of a farm makes', () => {
  const check = spawnSync(process.execPath, ['bench/farm/main.ts', '--check'], { encoding: 'utf8' });
  expect(check.status, check.stderr).toBe(0);
});

it('the version is that of package.json', () => {
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  expect(VERSION).toBe(version);
});

it('nothing names a registry host', () => {
  const lock = readFileSync('package-lock.json', 'utf8');
  expect(lock).not.toContain('"resolved"');
});

it('every error code is documented with its exit code', async () => {
  const { EXIT_CODES } = await import('../src/cli/exit-code.ts');
  const page = readFileSync('docs/errors.md', 'utf8');
  for (const [code, exit] of Object.entries(EXIT_CODES)) expect(page).toContain(`| \`${code}\` | ${exit} |`);
});
