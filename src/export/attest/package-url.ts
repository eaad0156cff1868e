/** Package URLs (package-url/purl-spec): one name for a package of any ecosystem. */
import { familiarName, parseReference } from '../../image/index.ts';

export interface PackageUrl {
  readonly type: string;
  /** May have several parts, `/` between them. */
  readonly namespace?: string | undefined;
  readonly name: string;
  readonly version?: string | undefined;
  /** Those that are undefined or empty are left out. */
  readonly qualifiers?: Readonly<Record<string, string | undefined>> | undefined;
}

export function packageUrl({ type, namespace, name, version, qualifiers = {} }: PackageUrl): string {
  const path = [type, ...(namespace ?? '').split('/').filter((part) => part !== ''), name].map(encode).join('/');
  const pairs = Object.entries(qualifiers)
    .flatMap(([key, value]): (readonly [string, string])[] => (value ? [[key, value]] : []))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([key, value]) => `${key}=${encodeURIComponent(value)}`);
  return `pkg:${path}${version ? `@${encode(version)}` : ''}${pairs.length === 0 ? '' : `?${pairs.join('&')}`}`;
}

/**
 * `pkg:docker/alpine@3.20?platform=linux%2Famd64`, as BuildKit names images.
 *
 * @param reference As written or normalized; the digest becomes a qualifier where there is one.
 * @param platform As `linux/arm64`.
 * @throws BuildError `usage`
 */
export function imageUrl(reference: string, platform: string | undefined): string {
  const parsed = parseReference(reference);
  const { tag, digest } = parsed;
  const parts = familiarName(parsed).split('/');
  const name = parts.pop() ?? '';
  return packageUrl({
    type: 'docker',
    namespace: parts.join('/'),
    name,
    version: tag,
    qualifiers: { digest, platform },
  });
}

function encode(part: string): string {
  return encodeURIComponent(part).replaceAll('%3A', ':');
}
