import type { BuildErrorInit, Digest } from '../../contracts/index.ts';
import type { PlanPiece } from './plan.ts';

/** To the pack thread. Blocks travel back and forth: there are only as many as were sent. */
export type ToPackThread =
  | { readonly kind: 'block'; readonly bytes: Uint8Array }
  | { readonly kind: 'piece'; readonly piece: PlanPiece }
  | { readonly kind: 'end' };

export type FromPackThread =
  /** Another piece may come. */
  | { readonly kind: 'ready' }
  | { readonly kind: 'block'; readonly bytes: Uint8Array }
  | { readonly kind: 'done'; readonly diffId: Digest; readonly size: number }
  | { readonly kind: 'error'; readonly error: BuildErrorInit };
