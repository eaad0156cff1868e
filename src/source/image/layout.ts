import { createReadStream } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { BuildError, isDigest } from '../../contracts/index.ts';
import type { Digest } from '../../contracts/index.ts';
import { digestOf, parseIndex } from '../../image/index.ts';
import type { Descriptor } from '../../image/index.ts';

/** `org.opencontainers.image.ref.name` (image-spec annotations.md), and containerd's full name of an image. */
const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';
const TAGS_SHOWN_MAX = 10;

/** `oci-layout://` or nothing, then `path[:tag][@digest]`. */
export interface LayoutReference {
  /** Absolute. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

/** A directory whose name looks like `path:tag` is named whole only when it exists. */
export async function parseLayoutReference(text: string): Promise<LayoutReference> {
  const rest = text.replace(/^oci-layout:\/\//, '');
  const at = rest.lastIndexOf('@');
  const suffix = rest.slice(at + 1);
  const digest = at !== -1 && isDigest(suffix) ? suffix : undefined;
  const named = digest === undefined ? rest : rest.slice(0, at);
  const match = /^(.+):(\w[\w.-]{0,127})$/.exec(named);
  const isWhole =
    match === null ||
    (await stat(named).then(
      (s) => s.isDirectory(),
      () => false,
    ));
  if (isWhole) return { path: resolve(named), tag: undefined, digest };
  return { path: resolve(match[1] ?? named), tag: match[2], digest };
}

/**
 * The descriptor that a reference to an OCI layout (image-spec image-layout.md) means: by digest, by tag, else the only
 * one, as buildx finds it.
 *
 * @throws BuildError `image-not-found`, `context`
 */
export async function resolveInLayout(reference: LayoutReference): Promise<Descriptor> {
  const { path, digest } = reference;
  if (digest !== undefined) {
    const bytes = await readLayoutBlob(path, digest);
    return { mediaType: '', digest, size: bytes.length };
  }
  const subject = { name: `${path}/index.json`, code: 'context' } as const;
  const { manifests } = parseIndex(await readLayoutFile(path, 'index.json'), subject);
  const tag = reference.tag ?? 'latest';
  const found = manifests.findLast((manifest) =>
    namesOf(manifest).some((name) => name === tag || name.endsWith(`:${tag}`)),
  );
  if (found !== undefined) return found;
  const [only] = manifests;
  if (only !== undefined && manifests.length === 1 && reference.tag === undefined) return only;
  const tags = [...new Set(manifests.flatMap(namesOf))].slice(0, TAGS_SHOWN_MAX);
  throw new BuildError({
    code: 'image-not-found',
    message: `there is no image ${reference.tag === undefined ? 'without a tag' : tag} in the OCI layout ${path}`,
    hint: tags.length === 0 ? 'its images have no tags: name one by @sha256:...' : `it has ${tags.join(', ')}`,
  });
}

/** A small blob of a layout, verified. */
export async function readLayoutBlob(path: string, digest: Digest): Promise<Uint8Array> {
  const bytes = await readLayoutFile(path, blobName(digest));
  const found = digestOf(bytes);
  if (found === digest) return bytes;
  throw new BuildError({
    code: 'digest-mismatch',
    message: `blob ${digest} in the OCI layout ${path} is damaged: its digest is ${found}`,
  });
}

/** A blob of a layout as a stream, to be verified by whoever reads it. */
export async function* streamLayoutBlob(path: string, digest: Digest): AsyncGenerator<Uint8Array, void, undefined> {
  const file = layoutBlobPath(path, digest);
  try {
    for await (const chunk of createReadStream(file, { highWaterMark: 256 * 1024 })) yield chunk as Buffer;
  } catch (error) {
    throw missing(path, digest, error);
  }
}

export function layoutBlobPath(path: string, digest: Digest): string {
  return join(path, blobName(digest));
}

function blobName(digest: Digest): string {
  return join('blobs', 'sha256', digest.slice('sha256:'.length));
}

/** Manifests and configs are small; nothing larger is read into memory. */
const DOCUMENT_SIZE_MAX = 8 * 1024 * 1024;

async function readLayoutFile(path: string, name: string): Promise<Uint8Array> {
  const file = join(path, name);
  try {
    const { size } = await stat(file);
    if (size <= DOCUMENT_SIZE_MAX) return await readFile(file);
  } catch (error) {
    throw missing(path, name, error);
  }
  throw new BuildError({ code: 'hostile', message: `${file} is too large for a manifest or config` });
}

function missing(path: string, name: string, cause: unknown): BuildError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === 'ENOENT' || code === 'ENOTDIR') {
    return new BuildError({
      code: 'image-not-found',
      message: `the OCI layout ${path} has no ${name}`,
      hint: 'an OCI layout is a directory with the files oci-layout and index.json and a directory blobs',
      cause,
    });
  }
  return new BuildError({
    code: code === 'EACCES' ? 'permission' : 'context',
    message: `${name} in the OCI layout ${path} cannot be read (${code ?? 'error'})`,
    cause,
  });
}

function namesOf({ annotations }: Descriptor): readonly string[] {
  return [annotations?.[REF_NAME], annotations?.[IMAGE_NAME]].filter((name) => name !== undefined);
}
