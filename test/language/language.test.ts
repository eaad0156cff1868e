import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { FAMILIES } from './all-cases.ts';
import type { Outcome } from './cases/types.ts';
import { openPlace, type Place } from './place.ts';

let place: Place;
beforeAll(async () => {
  place = await openPlace();
});
afterAll(async () => await place.close());

describe.each(Object.entries(FAMILIES))('%s: as BuildKit has it', (family, cases) => {
  const expected = JSON.parse(
    readFileSync(join(import.meta.dirname, 'expected', `${family}.json`), 'utf8'),
  ) as Readonly<Record<string, Outcome>>;

  it.concurrent.for(cases.map((languageCase, i) => [languageCase.name, languageCase, i] as const))(
    '%s',
    async ([name, languageCase, i]) => {
      const { args, env } = place.prepare(languageCase, `${family}-${i}`);
      const layout = join(place.bench.dir, `${family}-${i}-layout`);
      // Caches of their own: the cases run side by side.
      const caches = `BUILDKIT_CACHE_MOUNT_NS=${family}-${i}`;
      const own = ['--no-cache', '--network=host', '--build-arg', caches, '-o', `type=oci,tar=false,dest=${layout}`];
      const result = await place.bench.run(['build', ...own, ...args], { env });
      const outcome = result.code === 0 ? await place.outcome(layout, languageCase) : 'fails';
      expect(outcome, result.stderr).toEqual(expected[name]);
      if (outcome === 'fails') expect(result.stderr).toMatch(/^error: /m);
      else rmSync(layout, { recursive: true });
    },
  );
});
