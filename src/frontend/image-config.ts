/** The image configuration as a stage inherits and changes it (BuildKit: dockerfile2llb/image.go, docker-image-spec). */
import type { ContainerConfig, HistoryEntry, ImageConfig } from '../image/types.ts';
import type { Platform } from '../llb/index.ts';
import { normalizePlatform } from './platform.ts';

export const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';

/** What history entries of a Dockerfile's instructions say of where they come from. */
const HISTORY_COMMENT = 'buildkit.dockerfile.v0';

/** What survives of a base image's config: the fields of the image spec, Docker's own included. */
const CONTAINER_FIELDS = [
  'User',
  'ExposedPorts',
  'Env',
  'Entrypoint',
  'Cmd',
  'Volumes',
  'WorkingDir',
  'Labels',
  'StopSignal',
  'ArgsEscaped',
  'Healthcheck',
  'OnBuild',
  'StopTimeout',
  'Shell',
] as const;

/** The config of FROM scratch. */
export function emptyImage(platform: Platform): ImageConfig {
  return {
    ...platformFields(platform),
    config: { Env: [`PATH=${DEFAULT_PATH}`], WorkingDir: '/' },
  };
}

/** A base image's config as a stage starts with it: `created` and `rootfs` are not inherited, nor unknown fields. */
export function inheritImage(base: ImageConfig): ImageConfig {
  const config: Record<string, unknown> = {};
  for (const field of CONTAINER_FIELDS) {
    const value = (base.config as Readonly<Record<string, unknown>> | undefined)?.[field];
    if (value !== undefined && value !== null) config[field] = value;
  }
  return {
    ...(base.author === undefined ? {} : { author: base.author }),
    architecture: base.architecture,
    os: base.os,
    ...(base.variant === undefined ? {} : { variant: base.variant }),
    ...(base['os.version'] === undefined ? {} : { 'os.version': base['os.version'] }),
    ...(base['os.features'] === undefined ? {} : { 'os.features': base['os.features'] }),
    config,
    ...(base.history === undefined ? {} : { history: base.history }),
  };
}

export function platformFields(
  platform: Platform,
): Pick<ImageConfig, 'os' | 'architecture' | 'variant' | 'os.version'> {
  return {
    architecture: platform.architecture,
    os: platform.os,
    ...(platform.variant === undefined || platform.variant === '' ? {} : { variant: platform.variant }),
    ...(platform.osVersion === undefined || platform.osVersion === '' ? {} : { 'os.version': platform.osVersion }),
  };
}

export function platformOf(image: ImageConfig): Platform {
  return {
    os: image.os,
    architecture: image.architecture,
    ...(image.variant === undefined ? {} : { variant: image.variant }),
    ...(image['os.version'] === undefined ? {} : { osVersion: image['os.version'] }),
  };
}

/** The same image for another platform; of its own, only `os.features` is kept. */
export function withPlatform(image: ImageConfig, platform: Platform): ImageConfig {
  return { ...image, variant: undefined, 'os.version': undefined, ...platformFields(normalizePlatform(platform)) };
}

/** Changes the container part. */
export function withConfig(image: ImageConfig, change: ContainerConfig): ImageConfig {
  return { ...image, config: { ...image.config, ...change } };
}

/** Adds a history entry; its time is set when the image is exported. */
export function withHistory(image: ImageConfig, createdBy: string, options: { readonly layer: boolean }): ImageConfig {
  const entry: HistoryEntry = {
    created_by: createdBy,
    comment: HISTORY_COMMENT,
    ...(options.layer ? {} : { empty_layer: true }),
  };
  return { ...image, history: [...(image.history ?? []), entry] };
}

/** Without what is empty: as Go leaves it out of the JSON. */
export function finishImage(image: ImageConfig): ImageConfig {
  const config = Object.fromEntries(Object.entries(image.config ?? {}).filter(([, value]) => !isEmpty(value)));
  return { ...withoutUndefined(image), config };
}

function withoutUndefined(image: ImageConfig): ImageConfig {
  return Object.fromEntries(Object.entries(image).filter(([, value]) => value !== undefined)) as unknown as ImageConfig;
}

function isEmpty(value: unknown): boolean {
  if (value === undefined || value === null || value === '' || value === false) return true;
  if (Array.isArray(value)) return value.length === 0;
  return typeof value === 'object' && Object.keys(value).length === 0;
}
