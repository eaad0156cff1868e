/** The words of `-o` (buildx: util/buildflags/export.go; attributes: BuildKit, exporter/containerimage/exptypes/keys.go). */
import { closest, distance } from 'fastest-levenshtein';
import { BuildError } from '../contracts/index.ts';
import { LEVEL_MAX } from '../image/index.ts';
import type { LayerCompression } from '../image/index.ts';
import { annotationAttribute } from './annotations.ts';
import type { Annotation } from './annotations.ts';
import { parseCsv } from './csv.ts';
import type { ImageAttributes, OutputSpec } from './output-spec.ts';

const TYPES = ['image', 'registry', 'oci', 'docker', 'local', 'tar', 'cacheonly'] as const;
type TypeWord = (typeof TYPES)[number];

const IMAGE_KEYS = [
  'name',
  'oci-mediatypes',
  'compression',
  'compression-level',
  'force-compression',
  'rewrite-timestamp',
  'source-date-epoch',
] as const;
/** Understood and without effect: what they ask for is so, or can never be, here. */
const IDLE_KEYS = [
  'attestation-inline',
  'buildinfo',
  'buildinfo-attrs',
  'oci-artifact',
  'prefer-nondist-layers',
  'unpack',
  'name-canonical',
  'dangling-name-prefix',
  'danging-name-empty-only',
] as const;
const KEYS: Readonly<Record<TypeWord, readonly string[]>> = {
  image: [...IMAGE_KEYS, 'attestation-storage', 'push', 'push-by-digest', 'registry.insecure', 'store'],
  registry: [...IMAGE_KEYS, 'attestation-storage', 'push', 'push-by-digest', 'registry.insecure', 'store'],
  oci: [...IMAGE_KEYS, 'dest', 'tar'],
  docker: [...IMAGE_KEYS, 'dest', 'tar'],
  local: ['attestation-prefix', 'dest', 'mode', 'platform-split', 'source-date-epoch'],
  tar: ['attestation-prefix', 'dest', 'platform-split', 'source-date-epoch'],
  cacheonly: [],
};

/**
 * `type=oci,dest=out.tar`; a bare path is a local directory, `-` a tar of the root on stdout.
 * @throws BuildError `usage`; `unsupported` for what only BuildKit does.
 */
export function parseOutput(text: string): OutputSpec {
  const fields = parseCsv(text);
  const [first] = fields;
  if (fields.length === 1 && first === text && !text.startsWith('type=')) {
    if (text === '') throw usage('an output that says nothing', 'write for example -o type=oci,dest=image.tar');
    return parseFields(
      new Map(
        text === '-'
          ? [
              ['type', 'tar'],
              ['dest', '-'],
            ]
          : [
              ['type', 'local'],
              ['dest', text],
            ],
      ),
    );
  }
  const attributes = new Map<string, string>();
  for (const field of fields) {
    const equals = field.indexOf('=');
    if (equals <= 0)
      throw usage(
        `the output ${JSON.stringify(text)} has a part without a value: ${JSON.stringify(field)}`,
        'parts are KEY=VALUE',
      );
    const key = field.slice(0, equals).trim();
    // Keys of annotations are the user's own.
    attributes.set(key.startsWith('annotation') ? key : key.toLowerCase(), field.slice(equals + 1));
  }
  return parseFields(attributes);
}

function parseFields(attributes: Map<string, string>): OutputSpec {
  const word = attributes.get('type');
  if (word === undefined) throw usage('an output without a type', `write type=${TYPES.join('|')}`);
  const type = TYPES.find((known) => known === word);
  if (type === undefined) throw usage(`unknown output type ${JSON.stringify(word)}`, nearest(word, TYPES, 'types'));
  attributes.delete('type');
  const read = new AttributeReader(type, attributes);
  read.refuseUnknown();
  switch (type) {
    case 'image':
    case 'registry': {
      const push = read.boolean('push', type === 'registry');
      const attributes = imageAttributes(read);
      const attestationStorage = read.word('attestation-storage', ['index', 'referrers'] as const);
      if (attestationStorage === 'referrers' && (!push || !attributes.ociMediaTypes)) {
        throw usage(
          'attestations can be referrers only in a registry, with OCI media types',
          'add push=true, and leave oci-mediatypes=false out',
        );
      }
      return {
        type: 'image',
        ...attributes,
        attestationStorage,
        push,
        pushByDigest: read.boolean('push-by-digest', false),
        insecure: read.boolean('registry.insecure', false),
        store: read.boolean('store', type === 'image'),
      };
    }
    case 'oci':
    case 'docker': {
      const tar = read.boolean('tar', true);
      // Docker's archives go into Docker when nothing else is said; others to stdout, as with buildx.
      const dest = read.text('dest') ?? (type === 'docker' && tar ? undefined : '-');
      if (!tar && dest === '-')
        throw usage(`an output of type ${type} with tar=false needs a directory`, 'add dest=DIRECTORY');
      return { type, ...imageAttributes(read), dest, tar };
    }
    case 'local': {
      const dest = read.text('dest');
      if (dest === undefined) throw usage('an output of type local needs a directory', 'add dest=DIRECTORY');
      if (dest === '-') throw usage('a directory cannot go to stdout', 'use type=tar,dest=-');
      return {
        type,
        dest,
        mode: read.word('mode', ['copy', 'delete'] as const) ?? 'copy',
        sourceDateEpoch: read.integer('source-date-epoch'),
        platformSplit: read.optionalBoolean('platform-split'),
        attestationPrefix: read.text('attestation-prefix'),
      };
    }
    case 'tar':
      return {
        type,
        dest: read.text('dest') ?? '-',
        sourceDateEpoch: read.integer('source-date-epoch'),
        platformSplit: read.optionalBoolean('platform-split'),
        attestationPrefix: read.text('attestation-prefix'),
      };
    case 'cacheonly':
      return { type };
  }
}

function imageAttributes(read: AttributeReader): ImageAttributes {
  const compression = read.compression();
  return {
    names: (read.text('name') ?? '').split(',').filter((name) => name !== ''),
    ociMediaTypes: read.mediaTypes(compression),
    compression,
    compressionLevel: read.level(compression),
    forceCompression: read.boolean('force-compression', false),
    rewriteTimestamp: read.boolean('rewrite-timestamp', true),
    sourceDateEpoch: read.integer('source-date-epoch'),
    annotations: read.annotations(),
  };
}

class AttributeReader {
  readonly #type: TypeWord;
  readonly #attributes: ReadonlyMap<string, string>;

  constructor(type: TypeWord, attributes: ReadonlyMap<string, string>) {
    this.#type = type;
    this.#attributes = attributes;
  }

  refuseUnknown(): void {
    const known = KEYS[this.#type];
    for (const key of this.#attributes.keys()) {
      const isAnnotation = known.includes('name') && annotationAttribute(key, '') !== undefined;
      if (known.includes(key) || IDLE_KEYS.some((idle) => idle === key) || isAnnotation) continue;
      throw usage(
        `an output of type ${this.#type} has no attribute ${JSON.stringify(key)}`,
        nearest(key, known, 'attributes'),
      );
    }
  }

  /** Undefined when absent or empty. */
  text(key: string): string | undefined {
    const value = this.#attributes.get(key);
    return value === '' ? undefined : value;
  }

  boolean(key: string, absent: boolean): boolean {
    return this.optionalBoolean(key) ?? absent;
  }

  /** Go's strconv.ParseBool; an empty value is true. */
  optionalBoolean(key: string): boolean | undefined {
    const value = this.#attributes.get(key);
    if (value === undefined) return undefined;
    if (value === '' || /^(?:1|t|true)$/i.test(value)) return true;
    if (/^(?:0|f|false)$/i.test(value)) return false;
    throw this.#bad(key, value, 'true or false');
  }

  integer(key: string): number | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const number = Number(value);
    if (!/^-?[0-9]+$/.test(value) || !Number.isSafeInteger(number)) throw this.#bad(key, value, 'a whole number');
    return number;
  }

  word<T extends string>(key: string, words: readonly T[]): T | undefined {
    const value = this.text(key);
    if (value === undefined) return undefined;
    const word = words.find((known) => known === value);
    if (word === undefined) throw this.#bad(key, value, words.join(' or '));
    return word;
  }

  compression(): LayerCompression {
    return this.word('compression', ['gzip', 'zstd', 'estargz', 'uncompressed'] as const) ?? 'gzip';
  }

  level(compression: LayerCompression): number | undefined {
    const level = this.integer('compression-level');
    if (level === undefined || compression === 'uncompressed') return undefined;
    const most = LEVEL_MAX[compression === 'estargz' ? 'gzip' : compression];
    if (level < 1 || level > most)
      throw this.#bad('compression-level', String(level), `1 to ${most} for ${compression}`);
    return level;
  }

  /** Docker has no media type for zstd, and no place for what a reader of eStargz needs to know. */
  mediaTypes(compression: LayerCompression): boolean {
    const oci = this.optionalBoolean('oci-mediatypes');
    if (oci === false && compression === 'estargz')
      throw this.#bad('oci-mediatypes', 'false', 'true with compression=estargz');
    return oci !== false || compression === 'zstd';
  }

  annotations(): readonly Annotation[] {
    return [...this.#attributes].flatMap(([key, value]) => annotationAttribute(key, value) ?? []);
  }

  #bad(key: string, value: string, wanted: string): BuildError {
    return usage(`${key}=${value} makes no sense for an output of type ${this.#type}`, `${key} is ${wanted}`);
  }
}

function nearest(word: string, known: readonly string[], what: string): string {
  const list = known.length === 0 ? 'there are none' : `${what} are ${known.join(', ')}`;
  if (known.length === 0) return list;
  const guess = closest(word, [...known]);
  return distance(word, guess) <= Math.max(2, word.length / 3) ? `did you mean ${guess}? ${list}` : list;
}

function usage(message: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message, hint });
}
