import { describe, expect, it } from 'vitest';
import { AMD64, convert, names } from './testing.ts';

const ARM64 = { os: 'linux', architecture: 'arm64' };
const ARMV7 = { os: 'linux', architecture: 'arm', variant: 'v7' };
const DOCKERFILE = `FROM --platform=$BUILDPLATFORM golang AS vendor
RUN fetch
FROM vendor AS build
ARG TARGETPLATFORM
RUN compile
FROM alpine AS one
RUN setup
COPY --from=build /app /app
`;

describe('names of steps', () => {
  it('say for which platform they are where there are several', async () => {
    const result = await convert(DOCKERFILE, { targetPlatform: ARM64, multiPlatform: true });
    expect(names(result)).toEqual(
      expect.arrayContaining([
        expect.stringMatching(/^\[linux\/amd64 vendor 1\/2\] FROM docker\.io\/library\/golang/),
        '[linux/amd64 vendor 2/2] RUN fetch',
        '[linux/amd64->arm64 build 1/1] RUN compile',
        '[linux/arm64 one 2/3] RUN setup',
        '[linux/arm64 one 3/3] COPY --from=build /app /app',
      ]),
    );
    expect(names(await convert(DOCKERFILE, { targetPlatform: ARM64 }))).toContain('[one 2/3] RUN setup');
  });

  it.each([
    ['ARG TARGETPLATFORM', AMD64, '[linux/amd64 2/2] RUN x'],
    ['ARG TARGETPLATFORM', ARM64, '[linux/amd64->arm64 2/2] RUN x'],
    ['ARG TARGETARCH', ARM64, '[linux/amd64->arm64 2/2] RUN x'],
    ['ARG TARGETPLATFORM', ARMV7, '[linux/amd64->arm/v7 2/2] RUN x'],
    ['ARG TARGETPLATFORM', { os: 'windows', architecture: 'arm64' }, '[linux/amd64->windows/arm64 2/2] RUN x'],
    ['ENV TARGETPLATFORM=a/b/c/d', ARM64, '[linux/amd64 2/2] RUN x'],
  ])('with %s for %o', async (line, targetPlatform, expected) => {
    const text = `FROM --platform=$BUILDPLATFORM golang\n${line}\nRUN x\n`;
    const name = names(await convert(text, { targetPlatform, multiPlatform: true })).at(-1);
    expect(name).toBe(expected);
  });

  it('leave what is built for no target of its own the same for every platform', async () => {
    const [one, other] = await Promise.all(
      [AMD64, ARM64].map((targetPlatform) =>
        convert(DOCKERFILE, { targetPlatform, multiPlatform: true, target: 'vendor' }),
      ),
    );
    expect(one?.definition.result?.vertex.digest).toBe(other?.definition.result?.vertex.digest);
  });
});
