/**
 * Layers whose times are bounded by SOURCE_DATE_EPOCH. Other times make another tar, so another layer; it is found again
 * by the id of the first and the epoch. A layer that has no later time stands for itself.
 */
import type { LayerId } from '../contracts/index.ts';
import type { Store } from '../store/index.ts';

/** @param epoch Seconds. */
export function boundedLayer(id: LayerId, epoch: number, store: Pick<Store, 'readFact'>): LayerId | undefined {
  return store.readFact(fact(id, epoch));
}

export function noteBoundedLayer(
  id: LayerId,
  epoch: number,
  bounded: LayerId,
  store: Pick<Store, 'readFact' | 'writeFact'>,
): void {
  if (boundedLayer(id, epoch, store) !== bounded) store.writeFact(fact(id, epoch), bounded);
}

function fact(id: LayerId, epoch: number): string {
  return `image/clamped ${id} ${epoch}`;
}
