import type { EmbeddedEngine, SolveOptions, SolveResult } from '../contracts/index.ts';
import type { FrontendResult } from '../frontend/index.ts';
import { otherStageHint } from './inputs/missing-source.ts';

/**
 * Solves the graphs of all platforms at once; what they share is built once. The first that fails stops the others, and
 * all have ended when its error is thrown.
 *
 * @returns Parallel to `frontends`.
 */
export async function solveAll(
  engine: EmbeddedEngine,
  frontends: readonly FrontendResult[],
  options: Omit<SolveOptions, 'onFailure'>,
): Promise<readonly SolveResult[]> {
  const stop = new AbortController();
  const signal = AbortSignal.any([options.signal, stop.signal]);
  let failure: { readonly error: unknown } | undefined;
  const solved = await Promise.all(
    frontends.map(async (frontend) => {
      try {
        const onFailure: SolveOptions['onFailure'] = async (error, peek) => await otherStageHint(error, frontend, peek);
        return await engine.solve(frontend.definition, { ...options, signal, onFailure });
      } catch (error) {
        failure ??= { error };
        stop.abort(error);
        return undefined;
      }
    }),
  );
  if (failure !== undefined) throw failure.error;
  return solved.filter((result) => result !== undefined);
}
