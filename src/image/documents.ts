/**
 * Manifests, indexes and image configs from bytes that a registry, a layout or another tool made. What comes back holds
 * the fields that `types.ts` names, checked, and nothing else.
 */
import { BuildError } from '../contracts/index.ts';
import { JsonReader, compact } from './json.ts';
import type { Subject } from './json.ts';
import { MEDIA_TYPES } from './types.ts';
import type {
  ContainerConfig,
  Descriptor,
  HealthConfig,
  HistoryEntry,
  ImageConfig,
  Index,
  Manifest,
  OciPlatform,
} from './types.ts';

/** distribution-spec: a registry need not take larger manifests than this. */
export const MANIFEST_SIZE_MAX = 4 * 1024 * 1024;
export const CONFIG_SIZE_MAX = 8 * 1024 * 1024;
const LAYERS_MAX = 1000;
const MANIFESTS_MAX = 10_000;
const HISTORY_MAX = 10_000;

export type Document =
  | { readonly kind: 'manifest'; readonly mediaType: string; readonly document: Manifest }
  | { readonly kind: 'index'; readonly mediaType: string; readonly document: Index };

export function isIndexType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociIndex || mediaType === MEDIA_TYPES.dockerIndex;
}

export function isManifestType(mediaType: string): boolean {
  return mediaType === MEDIA_TYPES.ociManifest || mediaType === MEDIA_TYPES.dockerManifest;
}

/**
 * A manifest or an index, whichever the bytes are. A document that could be read as either, or contradicts the media
 * type it came with, is refused (CVE-2021-41190).
 *
 * @param mediaType Of the descriptor or the Content-Type header, where known.
 * @throws BuildError `registry` (or `subject.code`); `unsupported` for Docker schema 1.
 */
export function parseDocument(bytes: Uint8Array, mediaType: string | undefined, subject: Subject): Document {
  const json = new JsonReader(subject);
  const root = json.object(json.parse(bytes, MANIFEST_SIZE_MAX), 'document');
  if (root['schemaVersion'] === 1) {
    throw new BuildError({
      code: 'unsupported',
      message: `${subject.name} is of Docker's schema 1`,
      hint: 'push the image again with a current tool; registries stopped serving schema 1 in 2019',
    });
  }
  if (root['schemaVersion'] !== 2) throw json.fail('has no "schemaVersion" 2');
  const looksLikeIndex = Array.isArray(root['manifests']);
  const looksLikeManifest = root['config'] !== undefined || root['layers'] !== undefined;
  if (looksLikeIndex && looksLikeManifest) throw json.fail('has both layers and manifests');

  const own = json.optionalString(root['mediaType'], 'mediaType');
  const known =
    mediaType !== undefined && (isIndexType(mediaType) || isManifestType(mediaType)) ? mediaType : undefined;
  if (own !== undefined && own !== '' && known !== undefined && own !== known) {
    throw json.fail(`says it is ${own} but was served as ${known}`);
  }
  const guess = looksLikeIndex ? MEDIA_TYPES.ociIndex : MEDIA_TYPES.ociManifest;
  const type = known ?? (own === undefined || own === '' ? guess : own);
  if (isIndexType(type) && !looksLikeManifest) {
    return { kind: 'index', mediaType: type, document: readIndex(json, root) };
  }
  if (isManifestType(type) && !looksLikeIndex) {
    return { kind: 'manifest', mediaType: type, document: readManifest(json, root) };
  }
  throw json.fail(`is not what its media type ${type} says`);
}

/** @throws BuildError `registry` (or `subject.code`) when it is anything but a manifest of an image. */
export function parseManifest(bytes: Uint8Array, subject: Subject = { name: 'the manifest' }): Manifest {
  const found = parseDocument(bytes, undefined, subject);
  if (found.kind === 'manifest') return found.document;
  throw new JsonReader(subject).fail('is an index of several manifests');
}

/** @throws BuildError `registry` (or `subject.code`) when it is anything but an index. */
export function parseIndex(bytes: Uint8Array, subject: Subject = { name: 'the index' }): Index {
  const found = parseDocument(bytes, undefined, subject);
  if (found.kind === 'index') return found.document;
  throw new JsonReader(subject).fail('is a single manifest');
}

/** @throws BuildError `registry` (or `subject.code`) when it is no image config. */
export function parseImageConfig(bytes: Uint8Array, subject: Subject = { name: 'the image config' }): ImageConfig {
  const json = new JsonReader(subject);
  const root = json.object(json.parse(bytes, CONFIG_SIZE_MAX), 'document');
  const rootfs =
    root['rootfs'] === undefined || root['rootfs'] === null ? undefined : json.object(root['rootfs'], 'rootfs');
  const history = root['history'];
  return compact({
    created: json.optionalString(root['created'], 'created'),
    author: json.optionalString(root['author'], 'author'),
    // Artifacts and very old images leave these out; whoever needs a platform checks for it.
    architecture: json.optionalString(root['architecture'], 'architecture') ?? '',
    os: json.optionalString(root['os'], 'os') ?? '',
    variant: json.optionalString(root['variant'], 'variant'),
    'os.version': json.optionalString(root['os.version'], 'os.version'),
    'os.features': json.strings(root['os.features'], 'os.features'),
    config:
      root['config'] === undefined || root['config'] === null ? undefined : readContainerConfig(json, root['config']),
    rootfs:
      rootfs === undefined
        ? undefined
        : {
            type: 'layers' as const,
            diff_ids: json
              .array(rootfs['diff_ids'], 'rootfs.diff_ids', LAYERS_MAX)
              .map((id, i) => json.digest(id, `rootfs.diff_ids[${i}]`)),
          },
    history:
      history === undefined || history === null
        ? undefined
        : json.array(history, 'history', HISTORY_MAX).map((item, i) => readHistory(json, item, `history[${i}]`)),
  });
}

function readManifest(json: JsonReader, root: Readonly<Record<string, unknown>>): Manifest {
  return compact({
    schemaVersion: 2 as const,
    mediaType: json.optionalString(root['mediaType'], 'mediaType'),
    config: readDescriptor(json, root['config'], 'config'),
    layers: json
      .array(root['layers'], 'layers', LAYERS_MAX)
      .map((item, i) => readDescriptor(json, item, `layers[${i}]`)),
    annotations: json.stringMap(root['annotations'], 'annotations'),
  });
}

function readIndex(json: JsonReader, root: Readonly<Record<string, unknown>>): Index {
  return compact({
    schemaVersion: 2 as const,
    mediaType: json.optionalString(root['mediaType'], 'mediaType'),
    manifests: json
      .array(root['manifests'], 'manifests', MANIFESTS_MAX)
      .map((item, i) => readDescriptor(json, item, `manifests[${i}]`)),
    annotations: json.stringMap(root['annotations'], 'annotations'),
  });
}

function readDescriptor(json: JsonReader, value: unknown, at: string): Descriptor {
  const object = json.object(value, at);
  const platform = object['platform'];
  return compact({
    mediaType: json.string(object['mediaType'], `${at}.mediaType`),
    digest: json.digest(object['digest'], `${at}.digest`),
    size: json.size(object['size'], `${at}.size`),
    annotations: json.stringMap(object['annotations'], `${at}.annotations`),
    platform: platform === undefined || platform === null ? undefined : readPlatform(json, platform, `${at}.platform`),
    urls: json.strings(object['urls'], `${at}.urls`),
    artifactType: json.optionalString(object['artifactType'], `${at}.artifactType`),
  });
}

function readPlatform(json: JsonReader, value: unknown, at: string): OciPlatform {
  const object = json.object(value, at);
  return compact({
    architecture: json.string(object['architecture'], `${at}.architecture`),
    os: json.string(object['os'], `${at}.os`),
    variant: json.optionalString(object['variant'], `${at}.variant`),
    'os.version': json.optionalString(object['os.version'], `${at}.os.version`),
    'os.features': json.strings(object['os.features'], `${at}.os.features`),
  });
}

function readContainerConfig(json: JsonReader, value: unknown): ContainerConfig {
  const object = json.object(value, 'config');
  const at = (name: string): string => `config.${name}`;
  const health = object['Healthcheck'];
  return compact({
    User: json.optionalString(object['User'], at('User')),
    ExposedPorts: json.stringSet(object['ExposedPorts'], at('ExposedPorts')),
    Env: json.strings(object['Env'], at('Env')),
    Entrypoint: json.strings(object['Entrypoint'], at('Entrypoint')),
    Cmd: json.strings(object['Cmd'], at('Cmd')),
    Volumes: json.stringSet(object['Volumes'], at('Volumes')),
    WorkingDir: json.optionalString(object['WorkingDir'], at('WorkingDir')),
    Labels: json.stringMap(object['Labels'], at('Labels')),
    StopSignal: json.optionalString(object['StopSignal'], at('StopSignal')),
    ArgsEscaped: json.boolean(object['ArgsEscaped'], at('ArgsEscaped')),
    Healthcheck: health === undefined || health === null ? undefined : readHealth(json, health),
    OnBuild: json.strings(object['OnBuild'], at('OnBuild')),
    Shell: json.strings(object['Shell'], at('Shell')),
  });
}

function readHealth(json: JsonReader, value: unknown): HealthConfig {
  const object = json.object(value, 'config.Healthcheck');
  const at = (name: string): string => `config.Healthcheck.${name}`;
  return compact({
    Test: json.strings(object['Test'], at('Test')),
    Interval: json.integer(object['Interval'], at('Interval')),
    Timeout: json.integer(object['Timeout'], at('Timeout')),
    StartPeriod: json.integer(object['StartPeriod'], at('StartPeriod')),
    StartInterval: json.integer(object['StartInterval'], at('StartInterval')),
    Retries: json.integer(object['Retries'], at('Retries')),
  });
}

function readHistory(json: JsonReader, value: unknown, at: string): HistoryEntry {
  const object = json.object(value, at);
  return compact({
    created: json.optionalString(object['created'], `${at}.created`),
    created_by: json.optionalString(object['created_by'], `${at}.created_by`),
    author: json.optionalString(object['author'], `${at}.author`),
    comment: json.optionalString(object['comment'], `${at}.comment`),
    empty_layer: json.boolean(object['empty_layer'], `${at}.empty_layer`),
  });
}
