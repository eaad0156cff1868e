import { expect, test } from 'vitest';
import { hostPlatform, parsePlatforms, platformText } from './platform.ts';

const host = platformText(hostPlatform());

test.each<[string | readonly string[] | undefined, readonly string[]]>([
  [undefined, [host]],
  [[], [host]],
  ['local', [host]],
  ['linux/arm64', ['linux/arm64']],
  ['linux/amd64,linux/arm64', ['linux/amd64', 'linux/arm64']],
  [
    ['linux/arm/v7, linux/386', 'arm64'],
    ['linux/arm/v7', 'linux/386', 'linux/arm64'],
  ],
  ['linux/arm64/v8,linux/aarch64,arm64', ['linux/arm64']],
  ['linux/x86_64,linux/arm', ['linux/amd64', 'linux/arm/v7']],
  ['linux', [`linux/${hostPlatform().architecture}`]],
  ['Linux/AMD64/v2', ['linux/amd64/v2']],
  ['windows/amd64', ['windows/amd64']],
])('--platform %j', (given, expected) => {
  expect(parsePlatforms(given).map(platformText)).toEqual(expected);
});

test.each([
  ['linux/amd46', 'did you mean linux/amd64?'],
  ['linx/arm64', 'did you mean linux/arm64?'],
  ['linux/amd64,arn64', 'did you mean linux/arm64?'],
  ['a/b/c/d', 'write it as linux/amd64 or linux/arm/v7'],
  ['linux/$ARCH', 'write it as linux/amd64 or linux/arm/v7'],
  ['linux/quantum', 'write it as linux/amd64 or linux/arm/v7'],
])('--platform %s is refused', (given, hint) => {
  expect(() => parsePlatforms(given)).toThrow(expect.objectContaining({ code: 'usage', hint }) as Error);
});
