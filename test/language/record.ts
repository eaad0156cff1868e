/**
 * Builds the cases with BuildKit and writes what it made of them to `expected/`. Not a test: run when cases are added,
 * with a docker that has buildx and reaches a daemon on this machine.
 *
 *     DOCKER='docker' DOCKER_HOST=unix:///var/run/docker.sock node test/language/record.ts [FAMILY...]
 */
import { spawn } from 'node:child_process';
import { existsSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SLIPWAY } from '../support/cli.ts';
import { FAMILIES } from './all-cases.ts';
import type { LanguageCase, Outcome } from './cases/types.ts';
import { openPlace, type Place } from './place.ts';

const DOCKER = (process.env['DOCKER'] ?? 'docker').split(' ');
const AT_ONCE = 3;

async function build(place: Place, languageCase: LanguageCase, name: string): Promise<Outcome> {
  if (languageCase.newer === 'fails') return 'fails';
  const { args, env } = place.prepare(languageCase, name);
  const layout = join(place.bench.dir, `${name}-layout`);
  const own = ['--no-cache', '--network=host', '-o', `type=oci,tar=false,dest=${layout}`];
  const command =
    languageCase.newer === true
      ? [process.execPath, SLIPWAY, 'build', '--builder=docker://', ...own]
      : [...DOCKER, 'buildx', 'build', '--provenance=false', '--build-arg', `BUILDKIT_CACHE_MOUNT_NS=${name}`, ...own];
  const [program = '', ...words] = [...command, ...args];
  const child = spawn(program, words, { env: { ...process.env, ...env }, stdio: ['ignore', 'ignore', 'pipe'] });
  const said: Buffer[] = [];
  child.stderr.on('data', (chunk: Buffer) => said.push(chunk));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  if (code !== 0) {
    const text = Buffer.concat(said).toString('utf8');
    process.stderr.write(`-- ${languageCase.name}\n   ${text.trim().split('\n').slice(-2).join('\n   ')}\n`);
    return 'fails';
  }
  const outcome = await place.outcome(layout, languageCase);
  rmSync(layout, { recursive: true });
  return outcome;
}

const place = await openPlace();
try {
  for (const [family, cases] of Object.entries(FAMILIES)) {
    if (process.argv.length > 2 && !process.argv.includes(family)) continue;
    const file = join(import.meta.dirname, 'expected', `${family}.json`);
    const known = (existsSync(file) ? JSON.parse(readFileSync(file, 'utf8')) : {}) as Record<string, Outcome>;
    const wanted =
      process.env['ONLY_NEW'] === undefined ? cases : cases.filter(({ name }) => known[name] === undefined);
    const found = new Map<string, Outcome>();
    for (let at = 0; at < wanted.length; at += AT_ONCE) {
      const some = wanted.slice(at, at + AT_ONCE);
      const run = Date.now().toString(36);
      const outcomes = await Promise.all(some.map((one, i) => build(place, one, `${family}-${run}-${at + i}`)));
      some.forEach(({ name }, i) => found.set(name, outcomes[i] ?? 'fails'));
    }
    const all = Object.fromEntries(cases.map(({ name }) => [name, found.get(name) ?? known[name]]));
    writeFileSync(file, `${JSON.stringify(all, null, 1)}\n`);
    process.stdout.write(`${family}: ${wanted.length} recorded\n`);
  }
} finally {
  await place.close();
}
