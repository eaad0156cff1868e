import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { BuildError } from '../contracts/index.ts';
import {
  familiarName,
  familiarString,
  isReference,
  parseReference,
  referenceToString,
  repositoryName,
} from './reference.ts';

const hex = 'a'.repeat(64);

describe('parseReference normalizes', () => {
  test.each([
    ['alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['alpine:3', 'docker.io/library/alpine:3', 'alpine:3'],
    ['user/app', 'docker.io/user/app:latest', 'user/app:latest'],
    ['docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['index.docker.io/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['docker.io/library/alpine', 'docker.io/library/alpine:latest', 'alpine:latest'],
    ['docker.io/library/a/b', 'docker.io/library/a/b:latest', 'library/a/b:latest'],
    ['localhost/x', 'localhost/x:latest', 'localhost/x:latest'],
    ['localhost:5000/x', 'localhost:5000/x:latest', 'localhost:5000/x:latest'],
    ['127.0.0.1:5000/x/y:tag', '127.0.0.1:5000/x/y:tag', '127.0.0.1:5000/x/y:tag'],
    ['[::1]:5000/x', '[::1]:5000/x:latest', '[::1]:5000/x:latest'],
    ['ghcr.io/a/b', 'ghcr.io/a/b:latest', 'ghcr.io/a/b:latest'],
    ['REGISTRY/app', 'REGISTRY/app:latest', 'REGISTRY/app:latest'],
    ['a__b/c--d.e_f', 'docker.io/a__b/c--d.e_f:latest', 'a__b/c--d.e_f:latest'],
    ['app:5000', 'docker.io/library/app:5000', 'app:5000'],
    [`alpine@sha256:${hex}`, `docker.io/library/alpine@sha256:${hex}`, `alpine@sha256:${hex}`],
    [`alpine:3@sha256:${hex}`, `docker.io/library/alpine:3@sha256:${hex}`, `alpine:3@sha256:${hex}`],
  ])('%s', (text, full, familiar) => {
    const reference = parseReference(text);
    expect(referenceToString(reference)).toBe(full);
    expect(familiarString(reference)).toBe(familiar);
    expect(parseReference(full)).toEqual(reference);
    expect(parseReference(familiar)).toEqual(reference);
  });

  test('names without tag and digest', () => {
    const reference = parseReference('alpine:3');
    expect(repositoryName(reference)).toBe('docker.io/library/alpine');
    expect(familiarName(reference)).toBe('alpine');
  });
});

describe('parseReference refuses', () => {
  test.each([
    ['', 'empty'],
    ['Base', 'repository name (library/Base) must be lowercase'],
    ['a//b', 'not a repository name'],
    ['-a', 'not a repository name'],
    ['a-', 'not a repository name'],
    ['a..b', 'not a repository name'],
    ['a___b', 'not a repository name'],
    ['x:', 'no tag follows'],
    ['x:-a', 'not a tag'],
    [`x:${'a'.repeat(129)}`, 'not a tag'],
    ['a b', 'contains a space'],
    ['https://example.com/x', 'it is a URL'],
    ['x@sha256:abc', 'cut short'],
    ['x@', 'not a digest'],
    [`x@sha512:${'a'.repeat(128)}`, 'algorithm sha512 is not supported'],
    [hex, 'image ID'],
    ['host.example/', 'repository name is missing'],
    ['/x', 'not a repository name'],
    ['-host.example/x', 'not a registry host'],
    ['host:port/x', 'not a registry host'],
    [`x/${'a'.repeat(256)}`, 'more than 255 characters'],
    ['a'.repeat(2000), 'too long'],
    ['a\nb', 'contains a space'],
    ['alpine\u0000', 'not a repository name'],
    ['../../etc/passwd', 'not a registry host'],
  ])('%j', (text, reason) => {
    expect(isReference(text)).toBe(false);
    try {
      parseReference(text);
      expect.unreachable();
    } catch (error) {
      expect(error).toBeInstanceOf(BuildError);
      expect((error as BuildError).code).toBe('usage');
      expect((error as BuildError).message).toContain(reason);
    }
  });
});

test('any text either round-trips or is a usage error', () => {
  fc.assert(
    fc.property(fc.oneof(fc.string(), fc.stringMatching(/^[a-zA-Z0-9:./@_-]{0,40}$/)), (text) => {
      if (!isReference(text)) return;
      const reference = parseReference(text);
      expect(parseReference(referenceToString(reference))).toEqual(reference);
      expect(parseReference(familiarString(reference))).toEqual(reference);
    }),
  );
});
