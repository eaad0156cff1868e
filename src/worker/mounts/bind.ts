import { mkdirSync } from 'node:fs';
import type { ExecMount } from '../../contracts/index.ts';
import { MNT_DETACH, umount } from '../../sys/mount.ts';
import { mountView } from '../snapshot/overlay.ts';
import { attach } from './attach.ts';
import type { MountContext, PreparedMount } from './types.ts';

/**
 * A path of other layers: read-only, or with writes that end in a directory of their own and are thrown away. The layers
 * themselves are never written.
 */
export function bindMountOf(
  request: Extract<ExecMount, { readonly type: 'bind' }>,
  name: string,
  context: MountContext,
): PreparedMount {
  const view = context.place(`${name}-view`);
  mkdirSync(view);
  mountView({
    layers: context.directoriesOf(request.layers, name),
    empty: context.empty,
    target: view,
    devices: context.devices,
    upper: request.readonly ? undefined : throwaway(context, name),
  });
  const unmountView = (): void => {
    umount(view, MNT_DETACH);
  };
  const target = context.place(name);
  let detach: () => void;
  try {
    detach = attach(view, request.source, target);
  } catch (error) {
    unmountView();
    throw error;
  }
  return {
    mount: {
      destination: request.target,
      type: 'bind',
      source: target,
      options: ['rbind', request.readonly ? 'ro' : 'rw', ...(context.devices ? [] : ['nodev'])],
    },
    release() {
      detach();
      unmountView();
    },
  };
}

function throwaway(context: MountContext, name: string): { readonly directory: string; readonly work: string } {
  const base = context.scratch(name);
  const upper = { directory: `${base}/fs`, work: `${base}/work` };
  mkdirSync(upper.directory, { mode: 0o755 });
  mkdirSync(upper.work, { mode: 0o700 });
  return upper;
}
