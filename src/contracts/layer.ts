import type { ContentLocation, FileTree, Tree, TreePath } from './tree.ts';
import type { Digest } from './digest.ts';

/** Names a layer in the store; short (base36), so that 120 overlay directories fit in a mount call. */
export type LayerId = string;

/** A compressed or plain tar of a layer, as a blob in the store or, for a lazy base image, still in a registry. */
export interface LayerBlob {
  readonly mediaType: string;
  readonly digest: Digest;
  /** Bytes of the blob itself. */
  readonly size: number;
  /** Digest of the uncompressed tar (OCI config.md, `rootfs.diff_ids`). */
  readonly diffId: Digest;
  readonly annotations?: Readonly<Record<string, string>> | undefined;
}

/**
 * What one step added to a file system. A layer is first a tree; its directory (`Store.layerDir`) and its blobs
 * (`Store.layer(id).blobs`) exist once something has needed them.
 */
export interface Layer {
  readonly id: LayerId;
  /** The layer's own entries; pulls and reads the blob of a base image that has not been read yet. */
  tree(): Promise<Tree>;
  /** Digests of regular files of this layer's tree, hashing those that nobody has needed before. */
  digests(paths: readonly TreePath[]): Promise<readonly Digest[]>;
  /** Where the bytes of regular files of this layer's tree are, as `FileTree.locate` says it; extracts what is needed. */
  locate(paths: Iterable<TreePath>): Promise<Iterable<ContentLocation>>;
  /**
   * The blob that the layer came with or was packed to before, in the store (pulled when it is still in a registry).
   * Undefined when it was never packed: `image/` packs it then.
   */
  blob(): Promise<LayerBlob | undefined>;
  /**
   * The same layer with no time later than `epoch` (SOURCE_DATE_EPOCH, seconds), where that is known without reading the
   * layer; it may be the layer itself. Undefined: `image/` makes it when it packs.
   */
  bounded?(epoch: number): Layer | undefined;
}

/**
 * The result of a vertex: layers bottom to top, and the merged view of them. No layers = scratch, an empty root.
 * The build context is a snapshot too: no layers, and a `files` that reads the user's directory in place.
 */
export interface Snapshot {
  readonly layers: readonly Layer[];
  readonly files: FileTree;
  /** True for a build context: `files` is all there is. */
  readonly inPlace: boolean;
}
