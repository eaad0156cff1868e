import { BuildError, type SourceFile, type SourceLocation, type SourceRange } from '../../contracts/index.ts';
import {
  applyEdits,
  parseDockerfile,
  type Dockerfile,
  type Finding,
  type RuleInfo,
  type TextEdit,
} from '../../dockerfile/index.ts';
import { checkDockerfile, checkRules, checkText, ruleUrl } from '../../frontend/index.ts';
import { readDockerfileInput, type DockerfileInput, type DockerfileOptions } from './check-input.ts';

export interface CheckOptions extends DockerfileOptions {
  /** Rules to leave out; `all`. */
  readonly skip?: readonly string[] | undefined;
  /** Rules that are off by default, to run; `all`. */
  readonly enable?: readonly string[] | undefined;
  /** Makes the repairs that are safe: `show` in the result only, `write` in the file too. */
  readonly fix?: 'show' | 'write' | undefined;
}

/** What a rule found at a place. */
export interface CheckFinding {
  readonly rule: RuleInfo;
  readonly message: string;
  readonly hint: string | undefined;
  /** Docker's page on the rule, for those of BuildKit. */
  readonly url: string | undefined;
  readonly location: SourceLocation;
  /** Secrets, which must not be shown. */
  readonly hidden: readonly SourceRange[];
  /** The safe repair; empty when there is none. */
  readonly edits: readonly TextEdit[];
}

export interface CheckResult {
  /** As it was read. */
  readonly file: SourceFile;
  /** In `file`; with `fix: 'write'`, in what is in the file now. */
  readonly findings: readonly CheckFinding[];
  /** Why the file cannot be built, as far as that can be seen without images. */
  readonly errors: readonly BuildError[];
  /** With `fix`, when there was something to repair: the new text and how many repairs it has. */
  readonly fixed: { readonly text: string; readonly repairs: number; readonly edits: readonly TextEdit[] } | undefined;
}

/** One repair may bring out another; more rounds than this would be a circle. */
const MAX_ROUNDS = 8;

/**
 * Checks a Dockerfile without building it: BuildKit's rules and ours. Never asks a registry; what a file cannot be built
 * for is in the result.
 *
 * @throws BuildError when there is nothing to check: `usage`, `context`, `dockerfile`, `ignore-file`, `permission`
 */
export async function check(options: CheckOptions): Promise<CheckResult> {
  await refuseUnknownRules([...(options.skip ?? []), ...(options.enable ?? [])]);
  const input = await readDockerfileInput(options);
  if (options.fix === 'write' && input.path === undefined) {
    throw new BuildError({
      code: 'usage',
      message: 'a Dockerfile that comes from standard input cannot be repaired in place',
      hint: 'use --diff to see the repairs',
    });
  }
  const before = await checkOnce(input, input.text, options);
  const file = fileOf(input, input.text);
  if (options.fix === undefined) return { ...resultOf(before, file), fixed: undefined };
  const { text, repairs, after } = await repair(input, before, options);
  const fixed = text === input.text ? undefined : { text, repairs, edits: lineEdits(input.text, text) };
  if (fixed === undefined || options.fix === 'show') return { ...resultOf(before, file), fixed };
  await writeText(input.path ?? '', text);
  return { ...resultOf(after, fileOf(input, text)), file, fixed };
}

/** Every rule as data, for tools and documentation. */
export async function listRules(): Promise<readonly RuleInfo[]> {
  return await checkRules();
}

async function refuseUnknownRules(names: readonly string[]): Promise<void> {
  if (names.length === 0) return;
  const rules = await checkRules();
  const unknown = names.find((name) => name !== 'all' && !rules.some((rule) => rule.name === name));
  if (unknown === undefined) return;
  const same = rules.find(({ name }) => name.toLowerCase() === unknown.toLowerCase());
  throw new BuildError({
    code: 'usage',
    message: `there is no rule ${JSON.stringify(unknown)}`,
    hint: same === undefined ? 'slipway check --rules lists them' : `did you mean ${same.name}?`,
  });
}

interface Checked {
  readonly findings: readonly Finding[];
  readonly errors: readonly BuildError[];
}

async function checkOnce(input: DockerfileInput, text: string, { skip, enable }: CheckOptions): Promise<Checked> {
  let dockerfile: Dockerfile;
  try {
    dockerfile = parseDockerfile(text, { filename: input.filename });
  } catch (error) {
    if (!(error instanceof BuildError)) throw error;
    return { findings: findingsBefore(error, input, text), errors: [error] };
  }
  const { options, contextNames } = input;
  return await checkDockerfile({ dockerfile, options, contextNames, skip, enable });
}

/** What the lines above a syntax error show, as BuildKit reports it. */
function findingsBefore({ location }: BuildError, input: DockerfileInput, text: string): readonly Finding[] {
  const line = location?.ranges[0]?.start.line ?? 1;
  const above = text
    .split('\n')
    .slice(0, line - 1)
    .join('\n');
  try {
    return checkText(parseDockerfile(above, { filename: input.filename }));
  } catch (error) {
    if (error instanceof BuildError) return [];
    throw error;
  }
}

async function repair(
  input: DockerfileInput,
  first: Checked,
  options: CheckOptions,
): Promise<{ readonly text: string; readonly repairs: number; readonly after: Checked }> {
  let text = input.text;
  let after = first;
  let repairs = 0;
  for (let round = 0; round < MAX_ROUNDS; round++) {
    const repaired = after.findings.filter(({ edits = [] }) => edits.length > 0);
    const next = applyEdits(
      text,
      repaired.flatMap(({ edits = [] }) => edits),
    );
    if (next === text || !canParse(next)) break;
    text = next;
    repairs += repaired.length;
    after = await checkOnce(input, text, options);
  }
  return { text, repairs, after };
}

/** A repair that would break the file is none. */
function canParse(text: string): boolean {
  try {
    parseDockerfile(text);
    return true;
  } catch (error) {
    if (error instanceof BuildError) return false;
    throw error;
  }
}

/** The lines that differ. Repairs neither add nor remove lines. */
function lineEdits(before: string, after: string): readonly TextEdit[] {
  const old = before.split('\n');
  return after.split('\n').flatMap((text, i): TextEdit[] => {
    const was = old[i] ?? '';
    if (was === text) return [];
    return [{ range: { start: { line: i + 1, column: 0 }, end: { line: i + 1, column: was.length } }, text }];
  });
}

function resultOf({ findings, errors }: Checked, file: SourceFile): Omit<CheckResult, 'fixed'> {
  return { file, findings: findings.map((finding) => publicFinding(finding, file)), errors };
}

function publicFinding(
  { rule, message, hint, range, hidden = [], edits = [] }: Finding,
  file: SourceFile,
): CheckFinding {
  return { rule, message, hint, url: ruleUrl(rule), location: { file, ranges: [range] }, hidden, edits };
}

function fileOf({ filename }: DockerfileInput, text: string): SourceFile {
  return { filename, text, language: 'Dockerfile' };
}

/** In one step, and through links: a reader sees the old file or the new one. */
async function writeText(path: string, text: string): Promise<void> {
  const { chmod, realpath, rename, stat, unlink, writeFile } = await import('node:fs/promises');
  const real = await realpath(path);
  const temporary = `${real}.${String(process.pid)}.tmp`;
  try {
    const { mode } = await stat(real);
    await writeFile(temporary, text, { flag: 'wx' });
    await chmod(temporary, mode & 0o7777);
    await rename(temporary, real);
  } catch (error) {
    await unlink(temporary).catch(() => undefined);
    throw new BuildError({
      code: 'permission',
      message: `${path} cannot be written: ${(error as Error).message}`,
      hint: 'use --diff to see the repairs',
      cause: error,
    });
  }
}
