import type { RemoteTarget } from '../contracts/index.ts';
import type { Platform } from '../llb/index.ts';
import type { PbResult } from './gen/gateway.ts';

/** Keys of a result's metadata (BuildKit, exporter/containerimage/exptypes). */
const CONFIG = 'containerimage.config';
const BASE_CONFIG = 'containerimage.base.config';
const PLATFORMS = 'refs.platforms';
const EPOCH = 'source.date.epoch';

/** What the gateway hands back: the result, or one for each platform, with the configs of the images. */
export function resultOf(targets: readonly RemoteTarget[], refs: readonly string[], multiPlatform: boolean): PbResult {
  const [only] = targets;
  if (targets.length === 1 && only !== undefined && !multiPlatform) {
    return { ref: { id: refs[0] ?? '' }, metadata: metadataOf(only, '') };
  }
  const ids = targets.map(({ platform }) => platformId(platform));
  return {
    refs: { refs: Object.fromEntries(ids.map((id, i) => [id, { id: refs[i] ?? '' }])) },
    metadata: {
      [PLATFORMS]: json({
        Platforms: targets.map(({ platform }, i) => ({ ID: ids[i], Platform: ociPlatform(platform) })),
      }),
      ...Object.fromEntries(targets.flatMap((target, i) => Object.entries(metadataOf(target, `/${ids[i] ?? ''}`)))),
    },
  };
}

export function platformId({ os, architecture, variant }: Platform): string {
  return [os, architecture, ...(variant === undefined || variant === '' ? [] : [variant])].join('/');
}

function ociPlatform({ os, architecture, variant }: Platform) {
  return { os, architecture, ...(variant !== undefined && variant !== '' && { variant }) };
}

/** The exporter adds `rootfs`, and the times of history entries. */
function metadataOf(target: RemoteTarget, suffix: string): Readonly<Record<string, Uint8Array>> {
  const { config, baseConfig, sourceDateEpoch } = target;
  return {
    [`${CONFIG}${suffix}`]: json(config),
    ...(baseConfig !== undefined && { [`${BASE_CONFIG}${suffix}`]: json(baseConfig) }),
    ...(sourceDateEpoch !== undefined && { [`${EPOCH}${suffix}`]: Buffer.from(String(sourceDateEpoch)) }),
  };
}

function json(value: unknown): Uint8Array {
  return Buffer.from(JSON.stringify(value));
}
