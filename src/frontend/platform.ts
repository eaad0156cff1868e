/** Platforms as text, as containerd/platforms reads and normalizes them. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import type { Platform } from '../llb/index.ts';

const ARCHITECTURES: Readonly<Record<string, readonly [architecture: string, variant?: string]>> = {
  x86_64: ['amd64'],
  'x86-64': ['amd64'],
  i386: ['386'],
  aarch64: ['arm64'],
  armhf: ['arm', 'v7'],
  armel: ['arm', 'v6'],
};
const OPERATING_SYSTEMS: Readonly<Record<string, string>> = { macos: 'darwin' };
const KNOWN_OS = new Set(
  'aix android darwin dragonfly freebsd hurd illumos ios js linux nacl netbsd openbsd plan9 solaris wasip1 windows zos'.split(
    ' ',
  ),
);
const KNOWN_ARCHITECTURE = new Set(
  '386 amd64 amd64p32 arm armbe arm64 arm64be loong64 mips mipsle mips64 mips64le mips64p32 mips64p32le ppc ppc64 ppc64le riscv riscv64 s390 s390x sparc sparc64 wasm'.split(
    ' ',
  ),
);

export function samePlatform(a: Platform, b: Platform): boolean {
  return formatPlatform(normalizePlatform(a)) === formatPlatform(normalizePlatform(b));
}

/** `linux/arm/v7`; with an OS version `windows(10.0.17763)/amd64`. */
export function formatPlatform({ os, architecture, variant, osVersion }: Platform): string {
  const system = osVersion === undefined || osVersion === '' ? os : `${os}(${osVersion})`;
  return [system, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

/** Aliases to OCI values; the default variant of an architecture is left out, that of arm is named. */
export function normalizePlatform(platform: Platform): Platform {
  const os = platform.os.toLowerCase();
  const [architecture, implied] = ARCHITECTURES[platform.architecture.toLowerCase()] ?? [
    platform.architecture.toLowerCase(),
  ];
  const variant = normalizeVariant(architecture, platform.variant?.toLowerCase() ?? implied ?? '');
  return {
    os: OPERATING_SYSTEMS[os] ?? os,
    architecture,
    ...(variant === '' ? {} : { variant }),
    ...(platform.osVersion === undefined || platform.osVersion === '' ? {} : { osVersion: platform.osVersion }),
  };
}

function normalizeVariant(architecture: string, variant: string): string {
  if (architecture === 'arm64' && (variant === '8' || variant === 'v8' || variant === 'v8.0')) return '';
  if (architecture === 'amd64' && variant === 'v1') return '';
  if (architecture !== 'arm') return variant;
  if (variant === '') return 'v7';
  return /^[5-8]$/.test(variant) ? `v${variant}` : variant;
}

/**
 * Reads `os`, `arch`, `os/arch` or `os/arch/variant`; what is not named is as on `machine`.
 *
 * @throws BuildError `dockerfile` at `location`.
 */
export function parsePlatform(text: string, machine: Platform, location: SourceLocation | undefined): Platform {
  const fail = (reason: string): never => {
    throw new BuildError({
      code: 'dockerfile',
      message: `${JSON.stringify(text)} is not a platform: ${reason}`,
      hint: 'a platform is os/architecture[/variant], for example linux/amd64 or linux/arm/v7',
      location,
    });
  };
  if (text.includes('*')) fail('wildcards are not supported');
  const parts = text.split('/');
  for (const part of parts) if (!/^[A-Za-z0-9_.()+-]+$/.test(part)) fail(`${JSON.stringify(part)} is no name`);
  const [first = '', second, third, ...more] = parts;
  if (more.length > 0) fail('it has too many parts');
  const [, system = first, osVersion] = /^([^()]*)\(([^()]*)\)$/.exec(first) ?? [];
  if (second !== undefined) return normalizePlatform({ os: system, architecture: second, variant: third, osVersion });
  const os = OPERATING_SYSTEMS[system.toLowerCase()] ?? system.toLowerCase();
  if (KNOWN_OS.has(os)) return normalizePlatform({ ...machine, os, osVersion });
  const alone = normalizePlatform({ os: machine.os, architecture: first });
  if (KNOWN_ARCHITECTURE.has(alone.architecture)) return alone;
  return fail('no such operating system or architecture is known');
}
