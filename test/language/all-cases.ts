import { CONFIG_CASES } from './cases/config.ts';
import { CONTEXT_CASES } from './cases/context.ts';
import { COPY_CASES } from './cases/copy.ts';
import { MIXED_CASES } from './cases/mixed.ts';
import { RUN_CASES } from './cases/run.ts';
import type { LanguageCase } from './cases/types.ts';
import { VALUE_CASES } from './cases/values.ts';

export const FAMILIES: Readonly<Record<string, readonly LanguageCase[]>> = {
  copy: COPY_CASES,
  values: VALUE_CASES,
  config: CONFIG_CASES,
  run: RUN_CASES,
  context: CONTEXT_CASES,
  mixed: MIXED_CASES,
};
