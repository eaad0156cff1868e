import type { ExecMount } from '../../contracts/index.ts';
import type { MountContext, PreparedMount } from './types.ts';

export function tmpfsMountOf(
  request: Extract<ExecMount, { readonly type: 'tmpfs' }>,
  context: Pick<MountContext, 'devices'>,
): PreparedMount {
  const size = request.size === undefined || request.size <= 0 ? [] : [`size=${request.size}`];
  return {
    mount: {
      destination: request.target,
      type: 'tmpfs',
      source: 'tmpfs',
      options: [request.readonly === true ? 'ro' : 'rw', 'nosuid', ...(context.devices ? [] : ['nodev']), ...size],
    },
    release: () => undefined,
  };
}
