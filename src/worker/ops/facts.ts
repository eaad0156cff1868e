/** What counts of an entry in a content key. */
import type { CopyAction } from '../../llb/index.ts';
import { modeChangeOf } from './mode.ts';
import type { ModeChange } from './mode.ts';
import type { SelectedRow } from './select.ts';

/** What a copy makes of each entry is hashed, not what the entry is: what `--chown` and `--chmod` replace does not count. */
export interface Facts {
  readonly owner: boolean;
  /** Undefined = modes count as they are. */
  readonly mode: ModeChange | undefined;
  /** The mode is the same for all. */
  readonly modeFixed: boolean;
}

export const ALL_FACTS: Facts = { owner: true, mode: undefined, modeFixed: false };

export function copyFacts(action: CopyAction): Facts {
  const mode = modeChangeOf(action);
  return {
    owner: action.owner === undefined,
    mode,
    modeFixed: mode !== undefined && (action.modeStr === undefined || action.modeStr === ''),
  };
}

/** A directory that a copy makes only for what it holds keeps its mode. */
export function factsOfRow({ held }: SelectedRow, facts: Facts): Facts {
  return held ? { ...facts, modeFixed: false, mode: undefined } : facts;
}
