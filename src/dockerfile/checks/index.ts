/**
 * Checks of a Dockerfile as text: rules that need nothing but the parsed file, and what all rules share: the options in
 * `# check=`, reports, edits. Rules that look at stages, variables or the graph are in `frontend/checks`.
 *
 * A *rule* is data and a function; a *report* is what the function says of a place; a *finding* is a report of a rule
 * that is on there; an *edit* is a repair that changes nothing in what is built.
 */
import type { Dockerfile } from '../types.ts';
import { consistentInstructionCasing } from './consistent-instruction-casing.ts';
import { duplicateStageName } from './duplicate-stage-name.ts';
import { fromAsCasing } from './from-as-casing.ts';
import { invalidDefinitionDescription } from './invalid-definition-description.ts';
import { maintainerDeprecated } from './maintainer-deprecated.ts';
import { noEmptyContinuation } from './no-empty-continuation.ts';
import { reservedStageName } from './reserved-stage-name.ts';
import type { Rule } from './rule.ts';
import { stageNameCasing } from './stage-name-casing.ts';

export type { Finding, Place, Report, Rule, RuleInfo, Severity, TextEdit } from './rule.ts';
export { checkConfig, DEFAULT_CHECKS, parseCheckOptions, refuseFindings, runRules, sortFindings } from './config.ts';
export type { CheckConfig } from './config.ts';
export { applyEdits, textOf } from './edit.ts';

/** In BuildKit's order: what its parser finds, then what is looked at in the whole file. */
export const FILE_RULES: readonly Rule<Dockerfile>[] = [
  noEmptyContinuation,
  stageNameCasing,
  fromAsCasing,
  invalidDefinitionDescription,
  maintainerDeprecated,
  reservedStageName,
  duplicateStageName,
  consistentInstructionCasing,
];
