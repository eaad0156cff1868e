/** One daemon of a builder. */
export interface BuilderNode {
  readonly name: string;
  /** As `--builder` takes it: `unix://`, `tcp://`, `docker://`, ... */
  readonly url: string;
  /** Given by the user, as `linux/arm64`; empty = what the daemon says. */
  readonly platforms: readonly string[];
}

export interface Builder {
  readonly name: string;
  /** Who keeps it: our file, buildx's, or nobody (a URL, the Docker daemon that is there). */
  readonly from: 'slipway' | 'buildx' | 'host';
  readonly nodes: readonly BuilderNode[];
}
