/** For tests of checks: a file checked with defaults. */
import { parseDockerfile } from '../../dockerfile/index.ts';
import { AMD64 } from '../testing.ts';
import type { FrontendOptions } from '../types.ts';
import { checkDockerfile } from './check-dockerfile.ts';
import type { CheckInput, CheckReport } from './check-dockerfile.ts';

export const OPTIONS: FrontendOptions = {
  buildArgs: {},
  labels: {},
  targetPlatform: AMD64,
  buildPlatform: AMD64,
  contexts: {},
  context: { kind: 'local', sourceName: 'context', excludes: [] },
  network: 'sandbox',
  noCache: false,
  extraHosts: [],
  ulimits: [],
  pull: false,
};

export interface CheckSettings extends Partial<Omit<CheckInput, 'dockerfile' | 'options'>>, Partial<FrontendOptions> {
  /** Patterns of .dockerignore. */
  readonly ignore?: readonly string[];
}

export async function checkFile(text: string, settings: CheckSettings = {}): Promise<CheckReport> {
  const { ignore = [], contextNames, skip, enable, ...options } = settings;
  return await checkDockerfile({
    dockerfile: parseDockerfile(text),
    options: { ...OPTIONS, context: { kind: 'local', sourceName: 'context', excludes: ignore }, ...options },
    contextNames,
    skip,
    enable,
  });
}

/** `Rule:line` of each finding of one origin; what makes a build impossible as `error:line`. */
export async function found(
  text: string,
  origin: 'buildkit' | 'slipway' | 'any' = 'any',
  settings: CheckSettings = {},
): Promise<readonly string[]> {
  const { findings, errors } = await checkFile(text, settings);
  return [
    ...findings
      .filter(({ rule }) => origin === 'any' || rule.origin === origin)
      .map(({ rule, range }) => `${rule.name}:${range.start.line}`),
    ...errors.map(({ location }) => `error:${location?.ranges[0]?.start.line ?? 0}`),
  ];
}
