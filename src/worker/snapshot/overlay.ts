/** Overlay mounts of layer directories (overlayfs.rst). Lower directories are never written through: copy-up breaks links. */
import { MS_NODEV, mountOverlay } from '../../sys/mount.ts';
import { errnoOf } from '../../sys/errno.ts';

export interface OverlayView {
  /** Layer directories, bottom to top; may be none. */
  readonly layers: readonly string[];
  /** An empty directory, for views of fewer layers than the kernel wants. */
  readonly empty: () => string;
  /** Where the writes go; absent = read-only. */
  readonly upper?: { readonly directory: string; readonly work: string } | undefined;
  readonly target: string;
  /** Device nodes in it can be opened. */
  readonly devices: boolean;
}

/**
 * What an upper directory may hold is what `scan.ts` understands: whole files and directories, no references to lower
 * ones (redirects, metadata-only copies), no index.
 */
const PLAIN: readonly (readonly [string, string])[] = [
  ['index', 'off'],
  ['metacopy', 'off'],
  ['redirect_dir', 'nofollow'],
];

let volatileWorks = true;

/**
 * `volatile` (Linux 5.10): fsync inside the step does nothing and unmounting does not sync the disk. An upper directory
 * is used by one mount only, and counts for nothing before the store has synced it.
 */
export function mountView(view: OverlayView): void {
  const lower = view.upper !== undefined && view.layers.length > 0 ? view.layers : [view.empty(), ...view.layers];
  const padded = view.upper === undefined && lower.length < 2 ? [view.empty(), ...lower] : lower;
  const spec = {
    lower: padded,
    upper: view.upper,
    target: view.target,
    flags: view.devices ? 0 : MS_NODEV,
  };
  if (view.upper === undefined) {
    mountOverlay({ ...spec, options: PLAIN });
    return;
  }
  if (volatileWorks) {
    try {
      mountOverlay({ ...spec, options: [...PLAIN, ['volatile', true]] });
      return;
    } catch (error) {
      if (errnoOf(error) !== 'EINVAL') throw error;
    }
  }
  mountOverlay({ ...spec, options: PLAIN });
  volatileWorks = false;
}
