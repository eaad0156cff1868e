import { closest, distance } from 'fastest-levenshtein';
import { BuildError } from '../contracts/index.ts';
import { LEVEL_MAX, type CompressionType } from '../image/index.ts';

/** How the layers of an image are packed. */
export interface LayerOptions {
  readonly compression: CompressionType;
  readonly level: number | undefined;
  /** Pack base layers anew too, where they are packed otherwise. */
  readonly force: boolean;
}

/** What an `-o` word asks for. `dest` `-` is standard output. */
export type OutputSpec =
  | ({
      readonly type: 'image';
      readonly push: boolean;
      readonly pushByDigest: boolean;
      readonly insecure: boolean;
    } & ImageOptions)
  | ({ readonly type: 'oci' | 'docker'; readonly dest: string; readonly tar: boolean } & ImageOptions)
  | { readonly type: 'local'; readonly dest: string }
  | { readonly type: 'tar'; readonly dest: string }
  | { readonly type: 'cacheonly' };

export interface ImageOptions {
  /** From `name=`, beside those of `-t`. */
  readonly names: readonly string[];
  readonly layers: LayerOptions;
  readonly ociMediaTypes: boolean;
  /** Of the manifest. */
  readonly annotations: Readonly<Record<string, string>>;
}

const TYPES = ['image', 'registry', 'oci', 'docker', 'local', 'tar', 'cacheonly'] as const;
const IMAGE_ATTRIBUTES = ['name', 'compression', 'compression-level', 'force-compression', 'oci-mediatypes'];
const ATTRIBUTES: Readonly<Record<(typeof TYPES)[number], readonly string[]>> = {
  image: [...IMAGE_ATTRIBUTES, 'push', 'push-by-digest', 'registry.insecure', 'store'],
  registry: [...IMAGE_ATTRIBUTES, 'push-by-digest', 'registry.insecure', 'store'],
  oci: [...IMAGE_ATTRIBUTES, 'dest', 'tar'],
  docker: [...IMAGE_ATTRIBUTES, 'dest', 'tar'],
  local: ['dest'],
  tar: ['dest'],
  cacheonly: [],
};

/**
 * Reads an `-o` word as buildx does (util/buildflags/output.go): `type=oci,dest=x.tar`, a bare path for `type=local`,
 * `-` for a tar on standard output. Errors: `usage`, with the nearest type or attribute.
 */
export function parseOutput(text: string): OutputSpec {
  if (text === '-') return { type: 'tar', dest: '-' };
  if (!text.includes('=')) {
    if (text === '') throw usage(text, 'is empty', 'write it as type=oci,dest=image.tar');
    return { type: 'local', dest: text };
  }
  const attributes = csvAttributes(text);
  const type = attributes.get('type') ?? '';
  if (!isType(type)) {
    throw usage(text, type === '' ? 'has no type' : `has an unknown type "${type}"`, nearest('types are', type, TYPES));
  }
  for (const name of attributes.keys()) {
    const known = ATTRIBUTES[type];
    if (name === 'type' || known.includes(name) || (known.includes('name') && name.startsWith('annotation.'))) continue;
    throw usage(text, `has an attribute "${name}" that type=${type} does not know`, nearest('it knows', name, known));
  }
  switch (type) {
    case 'cacheonly':
      return { type };
    case 'local':
    case 'tar':
      return { type, dest: destination(text, attributes, type === 'local' ? undefined : '-') };
    case 'oci':
    case 'docker': {
      const tar = flag(text, attributes, 'tar', true);
      return {
        type,
        tar,
        dest: destination(text, attributes, tar ? '-' : undefined),
        ...imageOptions(text, attributes, type === 'oci'),
      };
    }
    case 'image':
    case 'registry':
      return {
        type: 'image',
        push:
          type === 'registry' ||
          flag(text, attributes, 'push', false) ||
          flag(text, attributes, 'push-by-digest', false),
        pushByDigest: flag(text, attributes, 'push-by-digest', false),
        insecure: flag(text, attributes, 'registry.insecure', false),
        ...imageOptions(text, attributes, true),
      };
  }
}

function isType(text: string): text is (typeof TYPES)[number] {
  return TYPES.some((type) => type === text);
}

function imageOptions(text: string, attributes: ReadonlyMap<string, string>, oci: boolean): ImageOptions {
  const compression = attributes.get('compression') ?? 'gzip';
  if (compression === 'estargz')
    throw new BuildError({
      code: 'unsupported',
      message: `-o ${text}: estargz is not written yet`,
      hint: 'use compression=gzip or zstd',
    });
  if (compression !== 'gzip' && compression !== 'zstd' && compression !== 'uncompressed') {
    throw usage(
      text,
      `has an unknown compression "${compression}"`,
      nearest('there are', compression, ['gzip', 'zstd', 'uncompressed']),
    );
  }
  const level = attributes.get('compression-level');
  if (level !== undefined && (!/^\d+$/.test(level) || Number(level) > LEVEL_MAX[compression])) {
    throw usage(text, `has a compression-level "${level}"`, `${compression} takes 0 to ${LEVEL_MAX[compression]}`);
  }
  const ociMediaTypes = flag(text, attributes, 'oci-mediatypes', oci);
  if (compression === 'zstd' && !ociMediaTypes)
    throw usage(text, 'has zstd with Docker media types, which know none', 'add oci-mediatypes=true');
  return {
    names: (attributes.get('name') ?? '').split(',').filter((name) => name !== ''),
    layers: {
      compression,
      level: level === undefined ? undefined : Number(level),
      force: flag(text, attributes, 'force-compression', false),
    },
    ociMediaTypes,
    annotations: Object.fromEntries(
      [...attributes].flatMap(([name, value]) =>
        name.startsWith('annotation.') ? [[name.slice('annotation.'.length), value]] : [],
      ),
    ),
  };
}

function destination(text: string, attributes: ReadonlyMap<string, string>, fallback: string | undefined): string {
  const dest = attributes.get('dest') ?? fallback;
  if (dest === undefined || dest === '') throw usage(text, 'has no dest', 'add dest=PATH');
  return dest;
}

function flag(text: string, attributes: ReadonlyMap<string, string>, name: string, fallback: boolean): boolean {
  const value = attributes.get(name);
  if (value === undefined) return fallback;
  if (['true', '1', ''].includes(value.toLowerCase())) return true;
  if (['false', '0'].includes(value.toLowerCase())) return false;
  throw usage(text, `has ${name}=${value}`, 'it takes true or false');
}

/** `k=v,"k=v,with comma"`, quoting as in RFC 4180. Names are lower-cased but for annotation keys. */
function csvAttributes(text: string): ReadonlyMap<string, string> {
  const attributes = new Map<string, string>();
  for (const field of csvFields(text)) {
    const at = field.indexOf('=');
    const name = at < 0 ? field : field.slice(0, at);
    attributes.set(
      name.startsWith('annotation.') ? name : name.trim().toLowerCase(),
      at < 0 ? '' : field.slice(at + 1),
    );
  }
  return attributes;
}

function csvFields(text: string): readonly string[] {
  const fields: string[] = [];
  let at = 0;
  while (at <= text.length) {
    if (text[at] === '"') {
      let field = '';
      let i = at + 1;
      for (; i < text.length; i++) {
        if (text[i] !== '"') field += text[i] ?? '';
        else if (text[i + 1] === '"') {
          field += '"';
          i++;
        } else break;
      }
      if (text[i] !== '"' || (text[i + 1] !== undefined && text[i + 1] !== ','))
        throw usage(text, 'has a quote that does not close a field', 'write "" for a quote inside quotes');
      fields.push(field);
      at = i + 2;
    } else {
      const comma = text.indexOf(',', at);
      const end = comma < 0 ? text.length : comma;
      fields.push(text.slice(at, end));
      at = end + 1;
    }
  }
  return fields;
}

function nearest(prefix: string, word: string, known: readonly string[]): string {
  const near = word === '' || known.length === 0 ? '' : closest(word, [...known]);
  return near !== '' && distance(word, near) <= 3 ? `did you mean "${near}"?` : `${prefix} ${known.join(', ')}`;
}

function usage(text: string, problem: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message: `-o ${text} ${problem}`, hint });
}
