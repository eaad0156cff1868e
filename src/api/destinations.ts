import { parseOutput, type OutputSpec } from '../export/index.ts';
import type { BuildOptions } from './options.ts';

/** -t alone means the local store; with another destination the names go into both. */
export function destinationsOf(options: BuildOptions, outputs: readonly OutputSpec[]): readonly OutputSpec[] {
  const named = (options.tags ?? []).length > 0 && !outputs.some((spec) => spec.type === 'image');
  return named ? [parseOutput('type=image'), ...outputs] : outputs;
}
