/** What steps may do beyond the sandbox, and who allowed it (BuildKit: util/entitlements, llbsolver/vertex.go). */
import { BuildError } from '../../contracts/index.ts';
import type { Definition, Op } from '../../llb/index.ts';
import type { BuildOptions } from '../options.ts';

const ENTITLEMENTS = ['network.host', 'security.insecure'] as const;
export type Entitlement = (typeof ENTITLEMENTS)[number];

/**
 * `--allow` words; `--network=host` allows itself, as in buildx. Errors: `usage`; `unsupported` for devices.
 */
export function allowedEntitlements(options: Pick<BuildOptions, 'allow' | 'network'>): ReadonlySet<Entitlement> {
  const allowed = new Set((options.allow ?? []).map(parseEntitlement));
  if (options.network === 'host') allowed.add('network.host');
  return allowed;
}

function parseEntitlement(word: string): Entitlement {
  const found = ENTITLEMENTS.find((name) => name === word);
  if (found !== undefined) return found;
  if (/^device(?:=|$)/.test(word)) {
    throw new BuildError({
      code: 'unsupported',
      message: `--allow ${word}: devices are not given to steps`,
      hint: 'build what needs the device with a BuildKit daemon, or at run time',
    });
  }
  throw new BuildError({
    code: 'usage',
    message: `--allow takes ${ENTITLEMENTS.join(' or ')}, not ${JSON.stringify(word)}`,
  });
}

/** Errors: `usage` at the first step that wants more than is allowed. */
export function checkEntitlements({ vertices }: Definition, allowed: ReadonlySet<Entitlement>): void {
  for (const { op, metadata } of vertices) {
    const missing = wanted(op).find((name) => !allowed.has(name));
    if (missing === undefined) continue;
    throw new BuildError({
      code: 'usage',
      message: `${missing} is not allowed`,
      hint: `if you trust the Dockerfile: --allow ${missing}`,
      location: metadata.location,
    });
  }
}

function wanted(op: Op): readonly Entitlement[] {
  if (op.kind !== 'exec') return [];
  return [
    ...(op.network === 'host' ? (['network.host'] as const) : []),
    ...(op.security === 'insecure' ? (['security.insecure'] as const) : []),
  ];
}
