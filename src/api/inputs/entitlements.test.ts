import { describe, expect, it } from 'vitest';
import { definition, vertex, type Op } from '../../llb/index.ts';
import { allowedEntitlements, checkEntitlements } from './entitlements.ts';

type ExecOp = Extract<Op, { readonly kind: 'exec' }>;

const META = {
  args: ['true'],
  env: [],
  cwd: '/',
  user: '',
  hostname: '',
  extraHosts: [],
  ulimits: [],
  cgroupParent: '',
  validExitCodes: [],
} as unknown as ExecOp['meta'];

function graph(network: ExecOp['network'], security: ExecOp['security']) {
  const base = vertex({ kind: 'source', identifier: 'docker-image://x', attrs: {} }, []);
  const step = vertex(
    { kind: 'exec', meta: META, mounts: [], network, security, secretEnv: [], cdiDevices: [] } as unknown as ExecOp,
    [{ vertex: base, index: 0 }],
  );
  return definition({ vertex: step, index: 0 });
}

describe('entitlements', () => {
  it.each([
    ['sandbox', 'sandbox', {}, undefined],
    ['none', 'sandbox', {}, undefined],
    ['host', 'sandbox', {}, 'network.host'],
    ['host', 'sandbox', { allow: ['network.host'] }, undefined],
    ['host', 'sandbox', { network: 'host' }, undefined],
    ['sandbox', 'insecure', { allow: ['network.host'] }, 'security.insecure'],
    ['sandbox', 'insecure', { allow: ['security.insecure'] }, undefined],
    ['host', 'insecure', { allow: ['security.insecure'] }, 'network.host'],
  ] as const)('network %s, security %s with %j lacks %s', (network, security, options, missing) => {
    const check = () => checkEntitlements(graph(network, security), allowedEntitlements(options));
    if (missing === undefined) check();
    else expect(check).toThrow(`${missing} is not allowed`);
  });

  it.each([
    ['network', 'usage'],
    ['device', 'unsupported'],
    ['device=vendor.com/x=y', 'unsupported'],
  ])('--allow %s is refused', (word, code) => {
    expect(() => allowedEntitlements({ allow: [word] })).toThrow(expect.objectContaining({ code }));
  });
});
