/** The same cases on a BuildKit: what `expected/` has of its front end must come of our graph, too. */
import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { dockerdLacks, startDockerd, type Dockerd } from '../support/dockerd.ts';
import { FAMILIES } from './all-cases.ts';
import type { Outcome } from './cases/types.ts';
import { openPlace, type Place } from './place.ts';

const lacks = dockerdLacks();
let place: Place;
let dockerd: Dockerd;
beforeAll(async () => {
  if (lacks !== undefined) return;
  place = await openPlace();
  dockerd = await startDockerd(join(place.bench.dir, 'dockerd'));
});
afterAll(async () => {
  if (lacks !== undefined) return;
  await dockerd.stop();
  await place.close();
});

describe.skipIf(lacks !== undefined).each(Object.entries(FAMILIES))('%s: on BuildKit as here', (family, cases) => {
  const expected = JSON.parse(
    readFileSync(join(import.meta.dirname, 'expected', `${family}.json`), 'utf8'),
  ) as Readonly<Record<string, Outcome>>;

  it.concurrent.for(cases.map((languageCase, i) => [languageCase.name, languageCase, i] as const))(
    '%s',
    async ([name, languageCase, i]) => {
      const { args, env } = place.prepare(languageCase, `${family}-${i}`);
      const layout = join(place.bench.dir, `${family}-${i}-layout`);
      const caches = `BUILDKIT_CACHE_MOUNT_NS=${family}-${i}`;
      const own = ['--builder=docker://', '--no-cache', '--network=host', '--build-arg', caches];
      const result = await place.bench.run(['build', ...own, '-o', `type=oci,tar=false,dest=${layout}`, ...args], {
        env: { DOCKER_HOST: dockerd.host, ...env },
      });
      const outcome = result.code === 0 ? await place.outcome(layout, languageCase) : 'fails';
      expect(outcome, result.stderr).toEqual(expected[name]);
      if (outcome === 'fails') expect(result.stderr).toMatch(/^error: /m);
      else rmSync(layout, { recursive: true });
    },
  );
});
