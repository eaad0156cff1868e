import { closest, distance } from 'fastest-levenshtein';
import { BuildError } from '../../contracts/index.ts';
import { normalizePlatform, platformToString } from '../../image/platform.ts';
import type { Platform } from '../../llb/index.ts';

const ARCHITECTURES: Readonly<Record<string, string>> = {
  x64: 'amd64',
  ia32: '386',
  arm: 'arm',
  arm64: 'arm64',
  ppc64: 'ppc64le',
  s390x: 's390x',
  riscv64: 'riscv64',
  loong64: 'loong64',
};
/** Go's names, which OCI uses; an index may hold any of them. */
const SYSTEMS = new Set('linux windows darwin freebsd netbsd openbsd solaris wasip1 aix android js plan9'.split(' '));
const KNOWN = new Set(
  '386 amd64 arm arm64 loong64 mips mipsle mips64 mips64le ppc64 ppc64le riscv64 s390x wasm wasm32'.split(' '),
);

/** This machine's platform in OCI terms. RUN is Linux whatever runs us. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

/**
 * `os/arch[/variant]`, `arch`, `os` or `local`, normalized as containerd's platforms package does.
 *
 * @throws BuildError `usage`
 */
export function parsePlatform(text: string): Platform {
  if (text.trim() === 'local') return hostPlatform();
  const parts = text.trim().toLowerCase().split('/');
  if (parts.length > 3 || parts.some((part) => !/^[a-z0-9_.-]+$/.test(part))) throw noPlatform(text);
  const [first = '', second, variant] = parts;
  if (second === undefined) {
    const alone = normalizePlatform({ os: first, architecture: hostPlatform().architecture });
    if (SYSTEMS.has(alone.os)) return alone;
    return known(normalizePlatform({ os: 'linux', architecture: first }), text);
  }
  return known(normalizePlatform({ os: first, architecture: second, variant }), text);
}

/**
 * The platforms to build: words as `--platform` takes them, each a list with commas; each platform once, in order. None
 * = this machine's.
 */
export function parsePlatforms(given: string | readonly string[] | undefined): readonly Platform[] {
  const words = (typeof given === 'string' ? [given] : (given ?? [])).flatMap((word) => word.split(','));
  const platforms = words.filter((word) => word.trim() !== '').map(parsePlatform);
  if (platforms.length === 0) return [hostPlatform()];
  return [...new Map(platforms.map((platform) => [platformText(platform), platform])).values()];
}

export function platformText(platform: Platform): string {
  return platformToString(platform);
}

function known(platform: Platform, text: string): Platform {
  if (SYSTEMS.has(platform.os) && KNOWN.has(platform.architecture)) return platform;
  throw noPlatform(text, platform);
}

function noPlatform(text: string, read?: Platform): BuildError {
  const near = read === undefined ? undefined : nearest(read);
  return new BuildError({
    code: 'usage',
    message: `"${text}" is no platform`,
    hint: near === undefined ? 'write it as linux/amd64 or linux/arm/v7' : `did you mean ${near}?`,
  });
}

function nearest({ os, architecture }: Platform): string | undefined {
  const pick = (word: string, names: ReadonlySet<string>): string =>
    names.has(word) ? word : closest(word, [...names]);
  const [system, machine] = [pick(os, SYSTEMS), pick(architecture, KNOWN)];
  return distance(os, system) + distance(architecture, machine) <= 3 ? `${system}/${machine}` : undefined;
}
