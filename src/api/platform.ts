import { BuildError } from '../contracts/index.ts';
import type { Platform } from '../llb/index.ts';

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
const ALIASES: Readonly<Record<string, string>> = {
  x86_64: 'amd64',
  'x86-64': 'amd64',
  aarch64: 'arm64',
  i386: '386',
  armhf: 'arm',
};

/** This machine's platform in OCI terms. RUN is Linux whatever runs us. */
export function hostPlatform(): Platform {
  return { os: 'linux', architecture: ARCHITECTURES[process.arch] ?? process.arch };
}

/** `os/arch[/variant]` or `local`, normalized as containerd's platforms package does. */
export function parsePlatform(text: string): Platform {
  if (text === 'local') return hostPlatform();
  const parts = text.trim().toLowerCase().split('/');
  const [os, arch, variant] = parts.length === 1 ? ['linux', parts[0], undefined] : parts;
  if (!os || !arch || parts.length > 3 || !/^[a-z0-9_-]+$/.test(`${os}${arch}${variant ?? ''}`)) {
    throw new BuildError({
      code: 'usage',
      message: `"${text}" is no platform`,
      hint: 'write it as linux/amd64 or linux/arm/v7',
    });
  }
  const architecture = ALIASES[arch] ?? arch;
  return { os, architecture, variant: architecture === 'arm64' && variant === 'v8' ? undefined : variant };
}

export function platformText(platform: Platform): string {
  return [platform.os, platform.architecture, platform.variant].filter(Boolean).join('/');
}
