/** Words of `-o` and `-t` for a daemon: its exporters take attributes as they are written; what comes back lands here. */
import { resolve } from 'node:path';
import { closest, distance } from 'fastest-levenshtein';
import { BuildError } from '../contracts/index.ts';
import { parseAnnotation, parseCsv } from '../export/index.ts';
import type { Annotation } from '../export/index.ts';

/** One export of a build. */
export interface RemoteOutput {
  /** BuildKit's exporter and its attributes. */
  readonly type: string;
  readonly attrs: Readonly<Record<string, string>>;
  /** Those of `attrs` that nobody wrote: where a daemon does not take them they go. */
  readonly implied?: readonly string[] | undefined;
  /** What the daemon sends us; undefined where it keeps or pushes the result itself. */
  readonly receive: Receive | undefined;
}

export type Receive =
  | { readonly kind: 'directory'; readonly dest: string; readonly removeOthers: boolean }
  | { readonly kind: 'file'; readonly dest: string }
  | { readonly kind: 'stdout' }
  | { readonly kind: 'docker-load' }
  /** An OCI layout; blobs come through the content service. */
  | { readonly kind: 'layout'; readonly dest: string };

/** Exporters of images. */
const IMAGES = new Set(['image', 'oci', 'docker']);
const REWRITE = 'rewrite-timestamp';

/**
 * With SOURCE_DATE_EPOCH our own engine bounds the times in layers too, so that equal inputs are equal images; daemons
 * do so when they are asked.
 */
export function withEpoch(outputs: readonly RemoteOutput[]): readonly RemoteOutput[] {
  return outputs.map((output) =>
    !IMAGES.has(output.type) || REWRITE in output.attrs
      ? output
      : { ...output, attrs: { ...output.attrs, [REWRITE]: 'true' }, implied: [REWRITE] },
  );
}

/** The outputs of a daemon whose store unpacks every image as it comes, which the times in layers must not change for. */
export function withoutRewriting(outputs: readonly RemoteOutput[]): readonly RemoteOutput[] {
  return outputs.map((output) => {
    if (output.type !== 'image' || output.implied?.includes(REWRITE) !== true) return output;
    const attrs = Object.fromEntries(Object.entries(output.attrs).filter(([key]) => key !== REWRITE));
    return { ...output, attrs, implied: undefined };
  });
}

export interface OutputOptions {
  readonly words: readonly string[];
  /** `-t`. */
  readonly names: readonly string[];
  readonly cwd: string;
  /** `--annotation`: on the images of all outputs. */
  readonly annotations?: readonly string[] | undefined;
}

/** What daemons pass over without a word when it is misspelt (exporter/containerimage/exptypes/keys.go and others). */
const KNOWN = [
  ...['type', 'dest', 'mode', 'tar', 'name', 'push', 'push-by-digest', 'registry.insecure', 'unpack', 'store'],
  ...['compression', 'compression-level', 'force-compression', 'oci-mediatypes', 'oci-artifact'],
  ...['rewrite-timestamp', 'source-date-epoch', 'platform-split', 'name-canonical', 'dangling-name-prefix'],
  ...['prefer-nondist-layers', 'attestation-prefix'],
];
/** Edits up to which an attribute that nobody knows counts as a slip of one that is known. */
const SLIP = 2;

/** @throws BuildError `usage` */
function checkSpelling(word: string, key: string): void {
  if (KNOWN.includes(key) || key.startsWith('annotation')) return;
  const near = closest(key, KNOWN);
  if (distance(key, near) <= SLIP)
    throw usage(word, `has an unknown attribute ${JSON.stringify(key)}`, `did you mean ${near}?`);
}

function isOn(value: string | undefined): boolean {
  return /^(?:1|t|true)$/i.test(value ?? '');
}

/** Attributes that are ours; the rest goes to the daemon, which knows best which it has. */
const OURS = new Set(['type', 'dest', 'mode', 'tar']);
const TYPES = ['image', 'registry', 'oci', 'docker', 'local', 'tar', 'cacheonly'];

/**
 * As buildx reads them (util/buildflags/export.go). Names without an output for them become an image that the daemon
 * keeps.
 *
 * @throws BuildError `usage`
 */
export function parseRemoteOutputs({ words, names, cwd, annotations = [] }: OutputOptions): readonly RemoteOutput[] {
  const outputs = words.map((word) => parseWord(word, names, cwd)).filter((output) => output !== undefined);
  const named = outputs.some(({ type }) => type === 'image');
  const all = names.length > 0 && !named ? [image({}, names), ...outputs] : outputs;
  const attrs = Object.fromEntries(annotations.flatMap(parseAnnotation).map(annotationAttr));
  for (const { type, attrs: own } of all) {
    // A daemon would push it under a name of its own making.
    if (type === 'image' && isOn(own['push']) && (own['name'] ?? '') === '')
      throw new BuildError({ code: 'usage', message: 'a push needs a name', hint: 'add -t HOST/NAME:TAG' });
  }
  return all.map((output) => (IMAGES.has(output.type) ? { ...output, attrs: { ...attrs, ...output.attrs } } : output));
}

/** As BuildKit's exporters read it (exporter/containerimage/exptypes/annotations.go). */
function annotationAttr({ target, platform, key, value }: Annotation): readonly [string, string] {
  const where = target === 'manifest' && platform === undefined ? '' : `-${target}`;
  return [`annotation${where}${platform === undefined ? '' : `[${platform}]`}.${key}`, value];
}

function parseWord(word: string, names: readonly string[], cwd: string): RemoteOutput | undefined {
  if (word === '-') return { type: 'tar', attrs: {}, receive: { kind: 'stdout' } };
  if (!word.includes('=')) {
    if (word === '') throw usage(word, 'says nothing', 'write for example -o type=oci,dest=image.tar');
    return { type: 'local', attrs: {}, receive: { kind: 'directory', dest: resolve(cwd, word), removeOthers: false } };
  }
  const fields = new Map<string, string>();
  for (const field of parseCsv(word)) {
    const equals = field.indexOf('=');
    if (equals <= 0) throw usage(word, `has a part without a value: ${JSON.stringify(field)}`, 'parts are KEY=VALUE');
    fields.set(field.slice(0, equals).trim(), field.slice(equals + 1));
  }
  const type = fields.get('type') ?? '';
  for (const key of fields.keys()) checkSpelling(word, key);
  const attrs = Object.fromEntries([...fields].filter(([key]) => !OURS.has(key)));
  const dest = fields.get('dest') ?? '';
  const asStream = (): Receive =>
    dest === '' || dest === '-' ? { kind: 'stdout' } : { kind: 'file', dest: resolve(cwd, dest) };
  switch (type) {
    case 'image':
      return image(attrs, names);
    case 'registry':
      // In the registry alone, as here: daemons with a store of images keep what they push unless they are told.
      return image({ push: 'true', store: 'false', ...attrs }, names);
    case 'oci':
    case 'docker': {
      const named = withNames(attrs, names);
      if (/^(?:0|f|false)$/i.test(fields.get('tar') ?? '')) {
        if (dest === '' || dest === '-') throw usage(word, 'with tar=false needs a directory', 'add dest=DIRECTORY');
        return { type, attrs: { ...named, tar: 'false' }, receive: { kind: 'layout', dest: resolve(cwd, dest) } };
      }
      if (type === 'docker' && dest === '') return { type, attrs: named, receive: { kind: 'docker-load' } };
      return { type, attrs: named, receive: asStream() };
    }
    case 'local':
      if (dest === '' || dest === '-') throw usage(word, 'needs a directory', 'add dest=DIRECTORY');
      return {
        type,
        attrs,
        receive: { kind: 'directory', dest: resolve(cwd, dest), removeOthers: fields.get('mode') === 'delete' },
      };
    case 'tar':
      return { type, attrs, receive: asStream() };
    case 'cacheonly':
      return undefined;
    default:
      throw usage(word, type === '' ? 'has no type' : `has an unknown type "${type}"`, `types are ${TYPES.join(', ')}`);
  }
}

function image(attrs: Readonly<Record<string, string>>, names: readonly string[]): RemoteOutput {
  return { type: 'image', attrs: withNames(attrs, names), receive: undefined };
}

/** `-t` takes the place of `name=` (buildx). */
function withNames(
  attrs: Readonly<Record<string, string>>,
  names: readonly string[],
): Readonly<Record<string, string>> {
  return names.length === 0 ? attrs : { ...attrs, name: names.join(',') };
}

function usage(word: string, what: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message: `the output ${JSON.stringify(word)} ${what}`, hint });
}
