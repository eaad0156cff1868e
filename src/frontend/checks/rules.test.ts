import { describe, expect, it } from 'vitest';
import type { RuleInfo } from '../../dockerfile/index.ts';
import { convert, fakeResolver } from '../testing.ts';
import { checkRules } from './rules.ts';
import { checkFile } from './testing.ts';

const CHECK_RULES = await checkRules();

async function example(rule: RuleInfo, text: string): Promise<readonly string[]> {
  const { ignore, contextNames, basePlatform } = rule.doc;
  if (basePlatform !== undefined) {
    const [os = '', architecture = ''] = basePlatform.split('/');
    const image = { os, architecture, rootfs: { type: 'layers' as const, diff_ids: [] }, history: [{}] };
    const resolver = fakeResolver({ 'docker.io/library/alpine:latest': image });
    const buildPlatform = text === rule.doc.good ? { os, architecture } : { os, architecture: 'amd64' };
    const { warnings } = await convert(text, { resolver, buildPlatform });
    return warnings.map(({ rule: name }) => name);
  }
  const names = contextNames === undefined ? undefined : new Set(contextNames);
  const { findings, errors } = await checkFile(text, { ignore, contextNames: names });
  return [...findings.map((finding) => finding.rule.name), ...errors.map(({ message }) => message)];
}

describe.each(CHECK_RULES.map((rule) => [rule.name, rule] as const))('the example of %s', (name, rule) => {
  it('shows the rule, where it is wrong', async () => {
    expect(await example(rule, rule.doc.bad)).toContain(name);
  });

  it('shows nothing at all, where it is right', async () => {
    expect(await example(rule, rule.doc.good)).toEqual([]);
  });
});

describe('the table of rules', () => {
  it('has every rule of BuildKit 0.32 by its own name', () => {
    expect(CHECK_RULES.filter(({ origin }) => origin === 'buildkit').map(({ name }) => name)).toEqual([
      'ConsistentInstructionCasing',
      'CopyIgnoredFile',
      'DuplicateStageName',
      'ExposeInvalidFormat',
      'ExposeProtoCasing',
      'FromAsCasing',
      'FromPlatformFlagConstDisallowed',
      'InvalidBaseImagePlatform',
      'InvalidDefaultArgInFrom',
      'InvalidDefinitionDescription',
      'JSONArgsRecommended',
      'LegacyKeyValueFormat',
      'MaintainerDeprecated',
      'MultipleInstructionsDisallowed',
      'NoEmptyContinuation',
      'RedundantTargetPlatform',
      'ReservedStageName',
      'SecretsUsedInArgOrEnv',
      'StageNameCasing',
      'UndefinedArgInFrom',
      'UndefinedVar',
      'WorkdirRelativePath',
    ]);
  });

  it('says of which findings there is a repair', async () => {
    for (const rule of CHECK_RULES) {
      const { findings } = await checkFile(rule.doc.bad);
      const isRepaired = findings.some(({ rule: { name }, edits = [] }) => name === rule.name && edits.length > 0);
      expect([rule.name, isRepaired]).toEqual([rule.name, rule.fixes === true]);
    }
  });

  it('has each name once', () => {
    expect(new Set(CHECK_RULES.map(({ name }) => name)).size).toBe(CHECK_RULES.length);
  });

  it('leaves off what BuildKit calls experimental, and what is a matter of taste', () => {
    const off = CHECK_RULES.filter((rule) => rule.default === 'off').map(({ name }) => name);
    expect(off).toEqual(['InvalidDefinitionDescription', 'UnpinnedBaseImage']);
  });
});
