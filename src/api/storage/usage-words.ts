/** Words of `du` and `prune`: sizes, times, filters, projects. */
import { realpathSync, statSync } from 'node:fs';
import { resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import { contextId, type UsageItem } from '../../store/index.ts';

/** Part of the file system that the cache may take where nobody says otherwise. */
const KEEP_STORAGE_DEFAULT = '20%';

const UNITS: Readonly<Record<string, number>> = { '': 1, k: 2 ** 10, m: 2 ** 20, g: 2 ** 30, t: 2 ** 40 };

/**
 * `10GB`, `512m` (units of 1024, as docker's `--keep-storage`), `20%` of the file system, or `unlimited`.
 *
 * @returns A function from the bytes of the file system. Errors: `usage`.
 */
export function parseKeepStorage(text: string, name: string): (fileSystem: number) => number {
  if (text === 'unlimited') return () => Number.POSITIVE_INFINITY;
  const match = /^(\d+(?:\.\d+)?)\s*(?:(%)|([kmgt]?)i?b?)$/i.exec(text.trim());
  const [, number = '', percent, unit = ''] = match ?? [];
  if (match === null || (percent !== undefined && Number(number) > 100)) {
    throw new BuildError({
      code: 'usage',
      message: `${name} is no size: "${text}"`,
      hint: 'say for example 10GB, 20% (of the file system) or unlimited',
    });
  }
  if (percent !== undefined) return (fileSystem) => (fileSystem * Number(number)) / 100;
  const bytes = Number(number) * (UNITS[unit.toLowerCase()] ?? 1);
  return () => bytes;
}

/** The bound of the cache: what the caller says, else SLIPWAY_KEEP_STORAGE, else 20% of the file system. */
export function keepStorage(
  option: string | undefined,
  env: Readonly<Record<string, string | undefined>>,
): (fileSystem: number) => number {
  if (option !== undefined) return parseKeepStorage(option, 'keepStorage');
  return parseKeepStorage(env['SLIPWAY_KEEP_STORAGE'] || KEEP_STORAGE_DEFAULT, 'SLIPWAY_KEEP_STORAGE');
}

const SECOND = 1000;
const SPANS: Readonly<Record<string, number>> = {
  ms: 1,
  s: SECOND,
  m: 60 * SECOND,
  h: 3600 * SECOND,
  d: 24 * 3600 * SECOND,
  w: 7 * 24 * 3600 * SECOND,
};

/**
 * `24h`, `1h30m`, `7d`: so long ago; or a time as `2026-01-31`, `2026-01-31T12:00:00Z`, seconds since the epoch.
 *
 * @returns Milliseconds since the epoch. Errors: `usage`.
 */
export function parseUntil(text: string, now: number): number {
  if (/^(?:\d+(?:\.\d+)?(?:ms|[smhdw]))+$/.test(text)) {
    const parts = text.matchAll(/(\d+(?:\.\d+)?)(ms|[smhdw])/g);
    return [...parts].reduce((time, [, number, span = 's']) => time - Number(number) * (SPANS[span] ?? 0), now);
  }
  if (/^\d+$/.test(text)) return Number(text) * SECOND;
  const time = /^\d{4}-\d\d-\d\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (!Number.isNaN(time)) return time;
  throw new BuildError({
    code: 'usage',
    message: `"${text}" is no time`,
    hint: 'say how long ago, as 24h or 7d, or when, as 2026-01-31',
  });
}

/** What BuildKit calls them (client/diskusage.go), so that filters of `docker builder prune` mean the same. */
const TYPE_ALIASES: Readonly<Record<string, string>> = {
  regular: 'step',
  'exec.cachemount': 'cache-mount',
  'source.local': 'context',
};

const FIELDS: Readonly<Record<string, (item: UsageItem) => string>> = {
  type: ({ type }) => type,
  id: ({ id }) => id,
  description: ({ description }) => description,
  project: ({ project }) => project ?? '',
  inuse: ({ inUse }) => String(inUse),
  shared: ({ shared }) => String(shared),
  private: ({ shared }) => String(!shared),
};

/** Without a value, they ask for true. */
const SWITCHES: ReadonlySet<string> = new Set(['inuse', 'shared', 'private']);

export interface UsageFilter {
  readonly matches: (item: UsageItem) => boolean;
  /** False when there is nothing but `until`. */
  readonly chooses: boolean;
  /** From `until=...`; milliseconds since the epoch. */
  readonly unusedSince: number | undefined;
}

/**
 * `type=step`, `id=...` (or the beginning of it), `description~=regular expression`, `project=...`, `inuse`, `shared`,
 * `private`, each with `=`, `==`, `!=` or `~=`; `until=24h`. All must hold; several values of one key, any of them.
 *
 * @returns Undefined when nothing is asked for. Errors: `usage`.
 */
export function parseFilters(words: readonly string[], now: number): UsageFilter | undefined {
  if (words.length === 0) return undefined;
  let unusedSince: number | undefined;
  const byKey = new Map<string, ((item: UsageItem) => boolean)[]>();
  for (const word of words) {
    const [, key = '', operator = '', value = ''] = /^([a-z]+)(?:(!=|~=|==|=)(.*))?$/s.exec(word) ?? [];
    if (key === 'until' && operator !== '') {
      unusedSince = parseUntil(value, now);
      continue;
    }
    const field = Object.hasOwn(FIELDS, key) ? FIELDS[key] : undefined;
    if (field === undefined || (operator === '' && !SWITCHES.has(key))) {
      throw new BuildError({
        code: 'usage',
        message: `"${word}" is no filter`,
        hint: `there are until, ${Object.keys(FIELDS).join(', ')}: for example type=step or description~=npm`,
      });
    }
    const tests = byKey.get(operator === '!=' ? `${key}!${word}` : key) ?? [];
    tests.push(test(key, field, operator, operator === '' ? 'true' : value, word));
    byKey.set(operator === '!=' ? `${key}!${word}` : key, tests);
  }
  const all = [...byKey.values()];
  const matches = (item: UsageItem): boolean => all.every((tests) => tests.some((holds) => holds(item)));
  return { matches, chooses: all.length > 0, unusedSince };
}

function test(
  key: string,
  field: (item: UsageItem) => string,
  operator: string,
  value: string,
  word: string,
): (item: UsageItem) => boolean {
  if (operator === '~=') {
    let pattern: RegExp;
    try {
      pattern = new RegExp(value, 'u');
    } catch {
      throw new BuildError({ code: 'usage', message: `"${word}" has no regular expression` });
    }
    return (item) => pattern.test(field(item));
  }
  const wanted = key === 'type' ? (TYPE_ALIASES[value] ?? value) : value;
  const isWanted = (item: UsageItem): boolean =>
    key === 'id' && value !== '' ? isBeginning(wanted, field(item)) : field(item) === wanted;
  return operator === '!=' ? (item) => !isWanted(item) : isWanted;
}

/** Keys of steps begin with their kind and version, which tables leave out. */
function isBeginning(text: string, id: string): boolean {
  return id.startsWith(text) || id.replace(/^r\d+-/, '').startsWith(text);
}

/** The directory that a context is, with its links followed; undefined when it is none on this machine. */
export function projectDirectory(context: string, cwd: string): string | undefined {
  try {
    const directory = realpathSync(resolve(cwd, context));
    return statSync(directory).isDirectory() ? directory : undefined;
  } catch {
    return undefined;
  }
}

/** The id of a context, from its directory or from itself. Errors: `usage`. */
export function parseProject(text: string, cwd: string): string {
  const directory = projectDirectory(text, cwd);
  if (directory !== undefined) return contextId(directory);
  if (/^[0-9a-f]{12}$/.test(text)) return text;
  throw new BuildError({
    code: 'usage',
    message: `${text} is neither a directory nor the id of a project`,
    hint: 'slipway du --verbose shows the ids; a directory that is gone is known by its id only',
  });
}
