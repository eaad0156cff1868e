import type { LayerId } from '../../contracts/index.ts';
import type { StoreLayout } from '../../store/index.ts';
import type { OciMount } from '../runtime/spec.ts';

/** What the mounts of one step are made with. */
export interface MountContext {
  readonly layout: StoreLayout;
  /** Directory of the step on the executor's own tmpfs; `name` must be unique in the step. */
  place(name: string): string;
  /** A new directory on the store's disk for writes that are thrown away. */
  scratch(name: string): string;
  /** What to mount for these layers, bottom to top. */
  directoriesOf(layers: readonly LayerId[], name: string): readonly string[];
  /** An empty directory, made at the first call. */
  readonly empty: () => string;
  /** Device nodes in mounts can be opened. */
  readonly devices: boolean;
  readonly signal: AbortSignal;
  /** A line for people, among what the step says. */
  readonly tell: (line: string) => void;
}

/** A mount, ready for the runtime, and how to undo what was done for it. */
export interface PreparedMount {
  readonly mount: OciMount;
  readonly release: () => void | Promise<void>;
}
