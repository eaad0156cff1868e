/** The words of `--cache-from` and `--cache-to` (BuildKit: cache/remotecache, attributes of each type). */
import { resolve } from 'node:path';
import { BuildError, isDigest } from '../../contracts/index.ts';
import type { CacheForm, CacheTarget } from '../../export/index.ts';
import { LEVEL_MAX, parseReference, repositoryName } from '../../image/index.ts';
import type { Reference } from '../../image/index.ts';
import type { CacheImport } from '../../source/index.ts';
import { AttributeReader, parseAttributeWord } from '../inputs/attribute-words.ts';

const FROM = '--cache-from';
const TO = '--cache-to';
/** What BuildKit has besides. */
const ELSEWHERE = ['gha', 's3', 'azblob'] as const;
const FORM_KEYS = [
  'mode',
  'image-manifest',
  'oci-mediatypes',
  'compression',
  'compression-level',
  'force-compression',
  'ignore-error',
] as const;

/** @throws BuildError `usage`, `unsupported` */
export function parseCacheFrom(texts: readonly string[], cwd: string): readonly CacheImport[] {
  return texts.flatMap((text) =>
    parseAttributeWord(FROM, text).map((attributes): CacheImport => {
      const read = new AttributeReader(FROM, attributes);
      const type = read.type(['registry', 'local'] as const, ELSEWHERE);
      const ignoreError = read.boolean('ignore-error', true);
      if (type === 'registry') {
        read.only(['ref', 'registry.insecure', 'ignore-error']);
        const reference = readReference(read);
        return {
          type,
          repository: repositoryName(reference),
          reference: reference.digest ?? reference.tag ?? 'latest',
          insecure: read.boolean('registry.insecure', false),
          ignoreError,
        };
      }
      read.only(['src', 'tag', 'digest', 'ignore-error']);
      const digest = read.text('digest');
      if (digest !== undefined && !isDigest(digest)) {
        throw read.wrong(`digest=${digest} is none`, 'a digest is sha256: and 64 hex digits');
      }
      const src = resolve(cwd, read.required('src', 'type=local,src=DIRECTORY'));
      return { type, src, tag: read.text('tag') ?? 'latest', digest, ignoreError };
    }),
  );
}

/** @throws BuildError `usage`, `unsupported` */
export function parseCacheTo(texts: readonly string[], cwd: string): readonly CacheTarget[] {
  return texts.flatMap((text) =>
    parseAttributeWord(TO, text).map((attributes): CacheTarget => {
      const read = new AttributeReader(TO, attributes);
      const type = read.type(['registry', 'local', 'inline'] as const, ELSEWHERE);
      if (type === 'inline') {
        // Scripts give it a mode; it has none.
        read.only(['mode', 'ignore-error']);
        return { type };
      }
      if (type === 'registry') {
        read.only(['ref', 'registry.insecure', ...FORM_KEYS]);
        const reference = readReference(read);
        if (reference.digest !== undefined) {
          throw read.wrong('ref= has a digest', 'name a tag: what is written has a digest of its own');
        }
        return {
          type,
          repository: repositoryName(reference),
          tag: reference.tag ?? 'latest',
          insecure: read.boolean('registry.insecure', false),
          ...readForm(read),
        };
      }
      read.only(['dest', 'tag', 'reset', ...FORM_KEYS]);
      return {
        type,
        dest: resolve(cwd, read.required('dest', 'type=local,dest=DIRECTORY')),
        tag: read.text('tag') ?? 'latest',
        reset: read.boolean('reset', false),
        ...readForm(read),
      };
    }),
  );
}

function readReference(read: AttributeReader): Reference {
  const text = read.required('ref', 'type=registry,ref=registry.example.com/team/app:cache');
  try {
    return parseReference(text);
  } catch (error) {
    if (error instanceof BuildError) throw read.wrong(`ref=${text}: ${error.message}`, error.hint ?? '');
    throw error;
  }
}

function readForm(read: AttributeReader): CacheForm {
  const ociMediaTypes = read.boolean('oci-mediatypes', true);
  const imageManifest = read.boolean('image-manifest', ociMediaTypes);
  if (imageManifest && !ociMediaTypes) {
    throw read.wrong('an image manifest of a cache has OCI media types', 'leave out oci-mediatypes=false');
  }
  const compression = read.word('compression', ['gzip', 'zstd', 'uncompressed'] as const, 'gzip');
  return {
    mode: read.word('mode', ['min', 'max'] as const, 'min'),
    imageManifest,
    ociMediaTypes,
    compression,
    compressionLevel: read.integer('compression-level', 0, LEVEL_MAX[compression]) || undefined,
    forceCompression: read.boolean('force-compression', false),
    ignoreError: read.boolean('ignore-error', true),
  };
}

/** Registries that may be spoken to in plain http because a word says so. */
export function insecureHosts(
  specs: readonly { readonly type: string; readonly insecure?: boolean; readonly repository?: string }[],
): readonly string[] {
  return specs.flatMap(({ insecure, repository }) =>
    insecure === true && repository !== undefined ? [repository.slice(0, repository.indexOf('/'))] : [],
  );
}
