/** Several images as one index. */
import { BuildError } from '../../contracts/index.ts';
import { annotationsFor, encodeDocument, type Annotation } from '../../export/index.ts';
import {
  CONFIG_SIZE_MAX,
  MEDIA_TYPES,
  normalizePlatform,
  parseImageConfig,
  platformToString,
  type Descriptor,
  type Index,
  type OciPlatform,
} from '../../image/index.ts';
import type { ImageSource } from './types.ts';

/** An entry of the index, and who has what it refers to. */
export interface JoinedEntry {
  readonly descriptor: Descriptor;
  readonly source: ImageSource;
}

/**
 * The entries of all images, in order, each once.
 *
 * @throws BuildError `usage` when two images are for one platform
 */
export async function joinEntries(sources: readonly ImageSource[]): Promise<readonly JoinedEntry[]> {
  const entries = new Map<string, JoinedEntry>();
  for (const source of sources) {
    for (const descriptor of await descriptorsOf(source)) {
      if (!entries.has(descriptor.digest)) entries.set(descriptor.digest, { descriptor, source });
    }
  }
  const owners = new Map<string, ImageSource>();
  for (const { descriptor, source } of entries.values()) {
    const platform = platformText(descriptor);
    if (platform === undefined) continue;
    const other = owners.get(platform);
    if (other !== undefined) {
      throw new BuildError({
        code: 'usage',
        message: `${other.name} and ${source.name} are both for ${platform}`,
        hint: 'an index leads to one image for each platform: leave one out',
      });
    }
    owners.set(platform, source);
  }
  return [...entries.values()];
}

/** `linux/arm64`; undefined for attestations and what says nothing. */
export function platformText({ platform }: Pick<Descriptor, 'platform'>): string | undefined {
  if (platform === undefined || platform.os === 'unknown') return undefined;
  const version = platform['os.version'];
  return platformToString(normalizePlatform(platform)) + (version === undefined ? '' : ` (${version})`);
}

async function descriptorsOf(source: ImageSource): Promise<readonly Descriptor[]> {
  const { descriptor, parsed } = source.root;
  if (parsed.kind === 'index') return parsed.document.manifests;
  const { mediaType, digest, size } = descriptor;
  return [{ mediaType, digest, size, platform: await configPlatform(source, parsed.document.config) }];
}

/** A manifest alone does not say what it is for; its config does. */
async function configPlatform(source: ImageSource, config: Descriptor): Promise<OciPlatform> {
  if (config.size > CONFIG_SIZE_MAX) {
    throw new BuildError({ code: 'hostile', message: `the config of ${source.name} is larger than any is` });
  }
  const chunks: Uint8Array[] = [];
  for await (const chunk of source.blob(config)) chunks.push(chunk);
  const found = parseImageConfig(Buffer.concat(chunks), { name: `the config of ${source.name}` });
  if (found.os === '' || found.architecture === '') {
    throw new BuildError({
      code: 'usage',
      message: `${source.name} does not say for which platform it is`,
      hint: 'an index needs images; is it another artifact?',
    });
  }
  const { os, architecture, variant, 'os.version': version, 'os.features': features } = found;
  return {
    architecture,
    os,
    ...(version === undefined ? {} : { 'os.version': version }),
    ...(features === undefined ? {} : { 'os.features': features }),
    ...(variant === undefined ? {} : { variant }),
  };
}

/** Docker's own list where all is Docker's; it has no place for annotations. */
export function joinIndex(
  entries: readonly JoinedEntry[],
  annotations: readonly Annotation[],
): { readonly mediaType: string; readonly bytes: Uint8Array } {
  const descriptors = entries.map(({ descriptor }) => descriptor);
  const isDocker =
    annotations.length === 0 && descriptors.every(({ mediaType }) => mediaType === MEDIA_TYPES.dockerManifest);
  const mediaType = isDocker ? MEDIA_TYPES.dockerIndex : MEDIA_TYPES.ociIndex;
  const index: Index = {
    schemaVersion: 2,
    mediaType,
    manifests: descriptors.map((descriptor) => {
      const added = annotationsFor(annotations, 'manifest-descriptor', descriptor.platform).annotations;
      return added === undefined ? descriptor : { ...descriptor, annotations: { ...descriptor.annotations, ...added } };
    }),
    ...annotationsFor(annotations, 'index'),
  };
  return { mediaType, bytes: encodeDocument(index) };
}
