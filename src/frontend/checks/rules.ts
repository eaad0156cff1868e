import { FILE_RULES } from '../../dockerfile/index.ts';
import type { RuleInfo } from '../../dockerfile/index.ts';
import { BUILD_RULES } from './build/index.ts';

/** Every rule as data: BuildKit's first, each part by name. Ours are loaded by it: a build goes without. */
export async function checkRules(): Promise<readonly RuleInfo[]> {
  const { ADVICE_RULES } = await import('./advice/index.ts');
  return [...[...FILE_RULES, ...BUILD_RULES].sort(byName), ...[...ADVICE_RULES].sort(byName)];
}

function byName(a: RuleInfo, b: RuleInfo): number {
  return a.name < b.name ? -1 : 1;
}
