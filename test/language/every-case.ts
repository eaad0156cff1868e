import { readFileSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { FAMILIES } from './all-cases.ts';
import type { Outcome } from './cases/types.ts';
import type { Place } from './place.ts';

export interface CasesOptions {
  /** From the first hook on. */
  readonly place: () => Place;
  /** Of `slipway build`, before those of the case. */
  readonly words?: readonly string[];
  readonly env?: () => Readonly<Record<string, string>>;
  /** What this machine lacks for them. */
  readonly lacks?: string | undefined;
}

/** Defines a test for each case: what comes out is what `expected/` has of BuildKit. */
export function everyCase(how: string, { place, words = [], env: common = () => ({}), lacks }: CasesOptions): void {
  const title = lacks === undefined ? how : `${how} (this machine lacks ${lacks})`;
  describe.skipIf(lacks !== undefined).each(Object.entries(FAMILIES))(`%s: ${title}`, (family, cases) => {
    const expected = JSON.parse(
      readFileSync(join(import.meta.dirname, 'expected', `${family}.json`), 'utf8'),
    ) as Readonly<Record<string, Outcome>>;

    it.concurrent.for(cases.map((languageCase, i) => [languageCase.name, languageCase, i] as const))(
      '%s',
      async ([name, languageCase, i]) => {
        const { bench } = place();
        const { args, env } = place().prepare(languageCase, `${family}-${i}`);
        const layout = join(bench.dir, `${family}-${i}-layout`);
        // Caches of their own: the cases run side by side.
        const caches = `BUILDKIT_CACHE_MOUNT_NS=${family}-${i}`;
        const own = ['--no-cache', '--network=host', '--build-arg', caches, '-o', `type=oci,tar=false,dest=${layout}`];
        const result = await bench.run(['build', ...words, ...own, ...args], { env: { ...common(), ...env } });
        const outcome = result.code === 0 ? await place().outcome(layout, languageCase) : 'fails';
        expect(outcome, result.stderr).toEqual(expected[name]);
        if (outcome === 'fails') expect(result.stderr).toMatch(/^error: /m);
        else rmSync(layout, { recursive: true });
      },
    );
  });
}
