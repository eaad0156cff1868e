/** Which manifest of an index fits a platform: the rules of containerd's platforms package (Normalize, Only). */
import type { Descriptor, OciPlatform } from './types.ts';

interface PlatformName {
  readonly os: string;
  readonly architecture: string;
  readonly variant?: string | undefined;
}

/** Canonical names: `x86_64` is `amd64`, `aarch64` is `arm64`, `arm` is `arm` `v7`; default variants are left out. */
export function normalizePlatform(platform: PlatformName): PlatformName {
  const os = platform.os.toLowerCase() === 'macos' ? 'darwin' : platform.os.toLowerCase();
  const architecture = platform.architecture.toLowerCase();
  const given = (platform.variant ?? '').toLowerCase();
  const variant = /^[0-9]/.test(given) ? `v${given}` : given;
  switch (architecture) {
    case 'i386':
      return named(os, '386', '');
    case 'x86_64':
    case 'x86-64':
    case 'amd64':
      return named(os, 'amd64', variant === 'v1' ? '' : variant);
    case 'aarch64':
    case 'arm64':
      return named(os, 'arm64', variant === 'v8' || variant === 'v8.0' ? '' : variant);
    case 'armhf':
      return named(os, 'arm', 'v7');
    case 'armel':
      return named(os, 'arm', 'v6');
    case 'arm':
      return named(os, 'arm', variant === '' ? 'v7' : variant);
    default:
      return named(os, architecture, variant);
  }
}

/** `linux/arm/v7`. */
export function platformToString(platform: PlatformName): string {
  const { os, architecture, variant } = platform;
  return variant === undefined || variant === '' ? `${os}/${architecture}` : `${os}/${architecture}/${variant}`;
}

/**
 * The manifest of an index that fits best: the platform itself, else one that its processors also run (an older
 * variant, arm on arm64, 386 on amd64). Of equals the first. Undefined when none fits; an entry without a platform fits
 * only when it is the only one.
 */
export function selectPlatform(manifests: readonly Descriptor[], wanted: PlatformName): Descriptor | undefined {
  for (const candidate of fallbacks(normalizePlatform(wanted))) {
    const key = platformToString(candidate);
    const found = manifests.find(({ platform }) => platform !== undefined && keyOf(platform) === key);
    if (found !== undefined) return found;
  }
  const [only] = manifests;
  return manifests.length === 1 && only?.platform === undefined ? only : undefined;
}

/** True when an image of platform `has` runs where `wanted` was asked for. */
export function platformFits(has: PlatformName, wanted: PlatformName): boolean {
  const key = platformToString(normalizePlatform(has));
  return fallbacks(normalizePlatform(wanted)).some((candidate) => platformToString(candidate) === key);
}

function keyOf(platform: OciPlatform): string {
  return platformToString(normalizePlatform(platform));
}

/** The platform and what it can run besides, best first (containerd: platformVector). */
function fallbacks(platform: PlatformName): readonly PlatformName[] {
  const { os, architecture } = platform;
  const variant = platform.variant ?? '';
  const level = Number(/^v([0-9])/.exec(variant)?.[1] ?? Number.NaN);
  switch (architecture) {
    case 'amd64': {
      const lower = Number.isNaN(level)
        ? []
        : range(level - 1, 1).map((v) => named(os, 'amd64', v === 1 ? '' : `v${v}`));
      return [platform, ...lower, named(os, '386', '')];
    }
    case 'arm':
      return [platform, ...(Number.isNaN(level) ? [] : range(level - 1, 5).map((v) => named(os, 'arm', `v${v}`)))];
    case 'arm64': {
      const base = variant === '' ? [] : [named(os, 'arm64', '')];
      return [platform, ...base, ...range(8, 5).map((v) => named(os, 'arm', `v${v}`))];
    }
    default:
      return [platform];
  }
}

function named(os: string, architecture: string, variant: string): PlatformName {
  return variant === '' ? { os, architecture } : { os, architecture, variant };
}

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: Math.max(0, from - to + 1) }, (_, i) => from - i);
}
