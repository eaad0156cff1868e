import { describe, expect, it } from 'vitest';
import { FILE_RULES, parseDockerfile } from '../../dockerfile/index.ts';
import type { RuleInfo } from '../../dockerfile/index.ts';
import { AMD64, convert, fakeResolver } from '../testing.ts';
import type { FrontendOptions } from '../types.ts';
import { ADVICE_RULES } from './advice/index.ts';
import { BUILD_RULES } from './build/index.ts';
import { checkDockerfile } from './check-dockerfile.ts';
import type { CheckInput } from './check-dockerfile.ts';

const RULES: readonly RuleInfo[] = [...FILE_RULES, ...BUILD_RULES, ...ADVICE_RULES];

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

async function rulesOf(text: string, input: Partial<CheckInput> = {}): Promise<string[]> {
  const { findings, errors } = await checkDockerfile({ dockerfile: parseDockerfile(text), options: OPTIONS, ...input });
  return [...findings.map(({ rule }) => rule.name), ...errors.map(({ message }) => `error: ${message}`)];
}

async function example(rule: RuleInfo, text: string): Promise<string[]> {
  const { ignore = [], contextNames, basePlatform } = rule.doc;
  if (basePlatform !== undefined) {
    const [os = '', architecture = ''] = basePlatform.split('/');
    const resolver = fakeResolver({
      'docker.io/library/alpine:latest': { os, architecture, rootfs: { type: 'layers', diff_ids: [] }, history: [{}] },
    });
    const isRight = text === rule.doc.good;
    const { warnings } = await convert(text, { resolver, ...(isRight && { buildPlatform: { os, architecture } }) });
    return warnings.map(({ rule: name }) => name);
  }
  return rulesOf(text, {
    options: { ...OPTIONS, context: { kind: 'local', sourceName: 'context', excludes: ignore } },
    contextNames: contextNames === undefined ? undefined : new Set(contextNames),
  });
}

describe.each(RULES.map((rule) => [rule.name, rule] as const))('the example of %s', (name, rule) => {
  it('shows the rule, where it is wrong', async () => {
    expect(await example(rule, rule.doc.bad)).toContain(name);
  });
  it('shows nothing at all, where it is right', async () => {
    expect(await example(rule, rule.doc.good)).toEqual([]);
  });
});
