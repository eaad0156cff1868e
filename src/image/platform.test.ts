import { describe, expect, test } from 'vitest';
import { chainId, digestOf } from './chain-id.ts';
import { normalizePlatform, platformFits, platformToString, selectPlatform } from './platform.ts';
import type { Descriptor } from './types.ts';

const parse = (text: string): { os: string; architecture: string; variant?: string } => {
  const [os = '', architecture = '', variant] = text.split('/');
  return variant === undefined ? { os, architecture } : { os, architecture, variant };
};

test.each([
  ['linux/x86_64', 'linux/amd64'],
  ['Linux/AMD64/v1', 'linux/amd64'],
  ['linux/amd64/v3', 'linux/amd64/v3'],
  ['linux/aarch64', 'linux/arm64'],
  ['linux/arm64/v8', 'linux/arm64'],
  ['linux/arm64/8', 'linux/arm64'],
  ['linux/arm', 'linux/arm/v7'],
  ['linux/arm/6', 'linux/arm/v6'],
  ['linux/armhf', 'linux/arm/v7'],
  ['linux/armel', 'linux/arm/v6'],
  ['linux/i386', 'linux/386'],
  ['macos/arm64', 'darwin/arm64'],
])('normalize %s', (text, canonical) => {
  expect(platformToString(normalizePlatform(parse(text)))).toBe(canonical);
});

describe('selectPlatform', () => {
  const index = (...names: readonly string[]): Descriptor[] =>
    names.map((name, i) => ({
      mediaType: 'm',
      digest: digestOf(`${i}`),
      size: 1,
      ...(name === '' ? {} : { platform: parse(name) }),
    }));
  test.each([
    [['linux/arm64', 'linux/amd64'], 'linux/amd64', 1],
    [['linux/arm64/v8'], 'linux/arm64', 0],
    [['linux/arm/v5', 'linux/arm/v6', 'linux/arm/v7'], 'linux/arm', 2],
    [['linux/arm/v5', 'linux/arm/v6'], 'linux/arm/v7', 1],
    [['linux/arm/v7'], 'linux/arm/v6', -1],
    [['linux/arm/v7'], 'linux/arm64', 0],
    [['linux/arm/v7', 'linux/arm64'], 'linux/arm64', 1],
    [['linux/386'], 'linux/amd64', 0],
    [['linux/amd64', 'linux/amd64/v2', 'linux/amd64/v3'], 'linux/amd64/v2', 1],
    [['linux/amd64'], 'linux/amd64/v3', 0],
    [['linux/amd64/v3'], 'linux/amd64', -1],
    [['windows/amd64'], 'linux/amd64', -1],
    [['unknown/unknown', 'linux/amd64'], 'linux/amd64', 1],
    [['unknown/unknown'], 'linux/amd64', -1],
    [[''], 'linux/amd64', 0],
    [['', ''], 'linux/amd64', -1],
    [['linux/amd64', 'linux/amd64'], 'linux/amd64', 0],
  ])('%j for %s', (names, wanted, at) => {
    const manifests = index(...names);
    expect(selectPlatform(manifests, parse(wanted))).toBe(at === -1 ? undefined : manifests[at]);
  });
});

test('platformFits', () => {
  expect(platformFits(parse('linux/amd64'), parse('linux/amd64/v2'))).toBe(true);
  expect(platformFits(parse('linux/arm64'), parse('linux/amd64'))).toBe(false);
});

test('chain IDs (OCI config.md)', () => {
  const a = digestOf('a');
  const b = digestOf('b');
  expect(chainId([])).toBeUndefined();
  expect(chainId([a])).toBe(a);
  expect(chainId([a, b])).toBe(digestOf(`${a} ${b}`));
  expect(chainId([a, b, a])).toBe(digestOf(`${digestOf(`${a} ${b}`)} ${a}`));
});
