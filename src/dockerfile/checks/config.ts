import { BuildError, type SourceLocation } from '../../contracts/index.ts';
import { parseBool } from '../go-values.ts';
import type { Dockerfile, Word } from '../types.ts';
import type { Finding, Report, Rule, RuleInfo } from './rule.ts';

/** Which rules run and what a finding does (BuildKit: linter.Config). */
export interface CheckConfig {
  readonly skipAll: boolean;
  readonly skip: ReadonlySet<string>;
  /** Rules that are off by default. */
  readonly experimentalAll: boolean;
  readonly experimental: ReadonlySet<string>;
  /** A finding fails the build. */
  readonly error: boolean;
}

export const DEFAULT_CHECKS: CheckConfig = {
  skipAll: false,
  skip: new Set(),
  experimentalAll: false,
  experimental: new Set(),
  error: false,
};

/** Parts of an option text that BuildKit reads; the last keeps what semicolons are left. */
const MAX_PARTS = 3;

/**
 * `skip=Rule,...|all;experimental=Rule,...|all;error=true`, in any order. Unknown rule names mean nothing, as in BuildKit.
 *
 * @throws BuildError `dockerfile` for an option that is none.
 */
export function parseCheckOptions(text: string, location?: SourceLocation): CheckConfig {
  if (text.trim() === '') return DEFAULT_CHECKS;
  let config = DEFAULT_CHECKS;
  const parts = text.trim().split(';');
  for (const part of [...parts.slice(0, MAX_PARTS - 1), ...lastPart(parts)]) {
    const equals = part.indexOf('=');
    const key = (equals < 0 ? part : part.slice(0, equals)).trim();
    const value = equals < 0 ? undefined : part.slice(equals + 1).trim();
    if (value !== undefined && key === 'skip') {
      config = { ...config, skipAll: value === 'all', skip: value === 'all' ? new Set() : names(value) };
    } else if (value !== undefined && key === 'experimental') {
      const all = value === 'all';
      config = { ...config, experimentalAll: all, experimental: all ? new Set() : names(value) };
    } else if (value !== undefined && key === 'error' && parseBool(value) !== undefined) {
      config = { ...config, error: parseBool(value) === true };
    } else {
      throw new BuildError({
        code: 'dockerfile',
        message: `${JSON.stringify(part.trim())} is no option of checks`,
        hint: 'as in: # check=skip=RuleName,OtherRule;experimental=all;error=true',
        location,
      });
    }
  }
  return config;
}

function lastPart(parts: readonly string[]): readonly string[] {
  return parts.length < MAX_PARTS ? [] : [parts.slice(MAX_PARTS - 1).join(';')];
}

function names(list: string): ReadonlySet<string> {
  return new Set(list.split(',').map((name) => name.trim()));
}

/**
 * The options of a file: the build argument BUILDKIT_DOCKERFILE_CHECK in place of the directive `# check=`.
 *
 * @throws BuildError `dockerfile`
 */
export function checkConfig(dockerfile: Dockerfile, buildArg: string | undefined): CheckConfig {
  if (buildArg !== undefined) return parseCheckOptions(buildArg);
  const directive = dockerfile.directives.find(({ name }) => name === 'check');
  if (directive === undefined) return DEFAULT_CHECKS;
  return parseCheckOptions(directive.value, { file: dockerfile.file, ranges: [directive.range] });
}

/** What comments above an instruction add: the first `# check=` among them, up to a blank; one that is wrong is none. */
function commentConfig(comments: readonly Word[]): CheckConfig {
  for (const { text } of comments) {
    const value = /^check\s*=\s*(\S+)/i.exec(text)?.[1];
    if (value === undefined) continue;
    try {
      return parseCheckOptions(value);
    } catch {
      return DEFAULT_CHECKS;
    }
  }
  return DEFAULT_CHECKS;
}

/** Whether a rule runs at all, comments at instructions aside. */
function mayRun(rule: RuleInfo, config: CheckConfig): boolean {
  return rule.default === 'off' || !(config.skipAll || config.skip.has(rule.name));
}

function isOn(rule: RuleInfo, config: CheckConfig, local: CheckConfig): boolean {
  const both = [config, local];
  if (rule.default === 'off') {
    return both.some(({ experimentalAll, experimental }) => experimentalAll || experimental.has(rule.name));
  }
  return !both.some(({ skipAll, skip }) => skipAll || skip.has(rule.name));
}

/** Runs the rules that are on; findings in the order of rules. */
export function runRules<Input>(rules: readonly Rule<Input>[], input: Input, config: CheckConfig): Finding[] {
  const findings: Finding[] = [];
  for (const rule of rules) {
    if (!mayRun(rule, config)) continue;
    for (const report of rule.check(input)) {
      if (isOn(rule, config, commentConfig(report.place.comments))) findings.push(findingOf(rule, report));
    }
  }
  return findings;
}

function findingOf(rule: RuleInfo, report: Report): Finding {
  return { ...report, rule, range: report.range ?? report.place.range };
}

/** By place in the file; of one place in the given order. */
export function sortFindings(findings: readonly Finding[]): Finding[] {
  return [...findings].sort(
    ({ place: { range: a } }, { place: { range: b } }) =>
      a.start.line - b.start.line || a.start.column - b.start.column,
  );
}

/**
 * What `error=true` makes of findings.
 *
 * @throws BuildError `dockerfile` when there are any.
 */
export function refuseFindings(dockerfile: Dockerfile, config: CheckConfig, findings: readonly Finding[]): void {
  const [first] = findings;
  if (!config.error || first === undefined) return;
  const rules = [...new Set(findings.map(({ rule }) => rule.name))].join(', ');
  throw new BuildError({
    code: 'dockerfile',
    message: `checks failed: ${rules}`,
    hint: 'the checks of this file are set to error=true; slipway check shows every finding in place',
    detail: findings.map(({ rule, message, range }) => `${rule.name}: ${message} (line ${range.start.line})`),
    location: { file: dockerfile.file, ranges: [first.range] },
  });
}
