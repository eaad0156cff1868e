import { createHash } from 'node:crypto';
import type { Digest } from '../contracts/index.ts';

/**
 * The chain ID of layers, bottom to top (OCI config.md, "Layer ChainID"): one digest for all of them in this order.
 * @returns undefined for no layers.
 */
export function chainId(diffIds: readonly Digest[]): Digest | undefined {
  let chain: Digest | undefined;
  for (const diffId of diffIds) chain = chain === undefined ? diffId : digestOf(`${chain} ${diffId}`);
  return chain;
}

/** sha256 of bytes, or of text as UTF-8. */
export function digestOf(data: Uint8Array | string): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}
