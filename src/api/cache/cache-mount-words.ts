/** The words of `--cache-mount-from` and `--cache-mount-to` (docs/cache-mounts.md). */
import { resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import { parseReference, repositoryName } from '../../image/index.ts';
import type { MountPlace, MountSource } from '../../source/index.ts';
import { AttributeReader, parseAttributeWord } from '../inputs/attribute-words.ts';

const FROM = '--cache-mount-from';
const TO = '--cache-mount-to';
/** Where nobody says otherwise: what a build of the main branch leaves for all. */
const DEFAULT_SCOPE = 'main';

/** One `--cache-mount-to`, parsed. */
export interface MountTarget extends MountSource {
  /** Bytes of the files of one mount. */
  readonly maxSize: number | undefined;
}

/** @throws BuildError `usage` */
export function parseMountFrom(texts: readonly string[], cwd: string): readonly MountSource[] {
  return texts.flatMap((text) =>
    parseAttributeWord(FROM, text).map((attributes) => {
      const read = new AttributeReader(FROM, attributes);
      return readSource(read, 'src', [], cwd);
    }),
  );
}

/** @throws BuildError `usage` */
export function parseMountTo(texts: readonly string[], cwd: string): readonly MountTarget[] {
  return texts.flatMap((text) =>
    parseAttributeWord(TO, text).map((attributes) => {
      const read = new AttributeReader(TO, attributes);
      const source = readSource(read, 'dest', ['max-size'], cwd);
      return { ...source, maxSize: read.bytes('max-size') };
    }),
  );
}

function readSource(read: AttributeReader, pathKey: 'src' | 'dest', more: readonly string[], cwd: string): MountSource {
  const type = read.type(['registry', 'local'] as const);
  const common = ['id', 'scope', 'ignore-error', ...more];
  read.only(type === 'registry' ? ['ref', 'registry.insecure', ...common] : [pathKey, ...common]);
  return {
    place: type === 'registry' ? registryPlace(read) : localPlace(read, pathKey, cwd),
    scope: read.text('scope') ?? DEFAULT_SCOPE,
    id: read.text('id'),
    ignoreError: read.boolean('ignore-error', true),
  };
}

function registryPlace(read: AttributeReader): MountPlace {
  const text = read.required('ref', 'type=registry,ref=registry.example.com/team/app-caches');
  try {
    const reference = parseReference(text);
    if (reference.digest !== undefined)
      throw read.wrong('ref= has a digest', 'name a repository: tags are made from it');
    // A tag that was not written is none.
    const isTagged = /:[\w.-]+$/.test(text.slice(text.lastIndexOf('/') + 1));
    return {
      type: 'registry',
      repository: repositoryName(reference),
      prefix: isTagged ? (reference.tag ?? '') : '',
      insecure: read.boolean('registry.insecure', false),
    };
  } catch (error) {
    if (error instanceof BuildError && error.code !== 'usage') throw read.wrong(`ref=${text}: ${error.message}`, '');
    throw error;
  }
}

function localPlace(read: AttributeReader, key: string, cwd: string): MountPlace {
  const directory = resolve(cwd, read.required(key, `type=local,${key}=DIRECTORY`));
  return { type: 'local', directory, prefix: '' };
}
