import type { Digest } from '../../contracts/index.ts';
import type { MountIndex } from '../../image/index.ts';

/** Where a cache mount goes. */
export type MountDestination =
  | { readonly type: 'registry'; readonly repository: string; readonly tag: string }
  | { readonly type: 'local'; readonly directory: string; readonly tag: string };

/** What lies there. */
export interface CurrentMount {
  readonly digest: Digest;
  readonly index: MountIndex;
}

export interface SaveMount {
  /** As in the graph. */
  readonly id: string;
  /** The mount's directory, shared with steps; content is in its `fs`. */
  readonly slot: string;
  readonly destination: MountDestination;
  /** As `host/repository:tag`, the same as for whoever restores it. */
  readonly name: string;
  readonly current: CurrentMount | undefined;
  /** Bytes of files; those that were used least recently do not travel. */
  readonly maxSize: number | undefined;
}

export interface SavedMount {
  /** Files, and their bytes. */
  readonly files: number;
  readonly bytes: number;
  /** Bytes that were packed now; 0 = nothing has changed. */
  readonly packed: number;
  /** Files that did not fit. */
  readonly left: number;
}
