/**
 * Annotations of an image's documents (image-spec, annotations.md) as BuildKit's exporters take them
 * (exporter/containerimage/exptypes/annotations.go): on a manifest, its descriptor in an index, the index, or the index's
 * descriptor in a layout; for all platforms or for one.
 */
import { BuildError } from '../contracts/index.ts';
import { normalizePlatform, platformToString } from '../image/index.ts';
import type { OciPlatform } from '../image/index.ts';

const TARGETS = ['manifest', 'manifest-descriptor', 'index', 'index-descriptor'] as const;
export type AnnotationTarget = (typeof TARGETS)[number];

export interface Annotation {
  readonly target: AnnotationTarget;
  /** Normalized; undefined = every one. */
  readonly platform: string | undefined;
  readonly key: string;
  readonly value: string;
}

/**
 * `annotation.KEY`, `annotation-TARGET.KEY`, `annotation-TARGET[PLATFORM].KEY`: an attribute of `-o`. Undefined when the
 * attribute is none of them.
 *
 * @throws BuildError `usage`
 */
export function annotationAttribute(attribute: string, value: string): Annotation | undefined {
  const match = /^annotation(?:-([a-z-]+))?(?:\[([^\]]*)\])?\.(.+)$/.exec(attribute);
  const [, target, platform, key] = match ?? [];
  return key === undefined ? undefined : annotation(target ?? 'manifest', platform, key, value, attribute);
}

/**
 * `KEY=VALUE` or `TARGET[PLATFORM],TARGET:KEY=VALUE`: the word after `--annotation`, as buildx reads it.
 *
 * @throws BuildError `usage`
 */
export function parseAnnotation(word: string): readonly Annotation[] {
  const equals = word.indexOf('=');
  if (equals <= 0) throw invalid(word, 'it has no value', 'write KEY=VALUE, or index:KEY=VALUE');
  const value = word.slice(equals + 1);
  const name = word.slice(0, equals);
  const colon = name.indexOf(':');
  if (colon === -1) return [annotation('manifest', undefined, name, value, word)];
  const key = name.slice(colon + 1);
  if (key === '') throw invalid(word, 'it has no key', 'write KEY=VALUE, or index:KEY=VALUE');
  return name
    .slice(0, colon)
    .split(',')
    .map((part) => {
      const [, target, platform] = /^([^[\]]+)(?:\[([^\]]*)\])?$/.exec(part.trim()) ?? [];
      return annotation(target ?? part, platform, key, value, word);
    });
}

function annotation(
  target: string,
  platform: string | undefined,
  key: string,
  value: string,
  word: string,
): Annotation {
  const known = TARGETS.find((name) => name === target);
  if (known === undefined)
    throw invalid(word, `${JSON.stringify(target)} is nothing that is annotated`, `it is one of ${TARGETS.join(', ')}`);
  if (platform === undefined) return { target: known, platform: undefined, key, value };
  if (known.startsWith('index')) throw invalid(word, 'an index is of no platform', `leave [${platform}] out`);
  const [os, architecture, variant, ...more] = platform.split('/');
  if (!os || !architecture || more.length > 0)
    throw invalid(word, `${JSON.stringify(platform)} is no platform`, 'write it as linux/amd64 or linux/arm/v7');
  return { target: known, platform: platformToString(normalizePlatform({ os, architecture, variant })), key, value };
}

/** Those of one document, those for its platform over those for all, as a field of it; nothing when there are none. */
export function annotationsFor(
  annotations: readonly Annotation[],
  target: AnnotationTarget,
  platform?: Pick<OciPlatform, 'os' | 'architecture'> & { readonly variant?: string | undefined },
): { readonly annotations?: Readonly<Record<string, string>> } {
  const name = platform === undefined ? undefined : platformToString(normalizePlatform(platform));
  const own = annotations.filter((one) => one.target === target);
  const found = new Map<string, string>();
  for (const { key, value } of own.filter((one) => one.platform === undefined)) found.set(key, value);
  for (const { key, value } of own.filter((one) => one.platform !== undefined && one.platform === name))
    found.set(key, value);
  return sortedAnnotations(Object.fromEntries(found));
}

/** As Go writes a map: by key, so that equal annotations are equal bytes. */
export function sortedAnnotations(annotations: Readonly<Record<string, string>>): {
  readonly annotations?: Readonly<Record<string, string>>;
} {
  const entries = Object.entries(annotations).sort(([a], [b]) => (a < b ? -1 : 1));
  return entries.length === 0 ? {} : { annotations: Object.fromEntries(entries) };
}

/**
 * Refuses what would go nowhere.
 *
 * @param platforms Normalized names of those that are built.
 * @throws BuildError `usage`
 */
export function checkAnnotations(
  annotations: readonly Annotation[],
  { isIndex, platforms }: { readonly isIndex: boolean; readonly platforms: readonly string[] },
): void {
  for (const { target, platform, key } of annotations) {
    if (target.startsWith('index') && !isIndex) {
      throw new BuildError({
        code: 'usage',
        message: `the annotation ${target}:${key} has nowhere to go: an image of one platform has no index`,
        hint: `use ${key} or manifest-descriptor:${key}, or build several platforms`,
      });
    }
    if (platform !== undefined && platforms.length > 0 && !platforms.includes(platform)) {
      throw new BuildError({
        code: 'usage',
        message: `the annotation ${key} is for ${platform}, which is not built`,
        hint: `built are ${platforms.join(', ')}`,
      });
    }
  }
}

function invalid(word: string, reason: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message: `the annotation ${JSON.stringify(word)}: ${reason}`, hint });
}
