import type { Digest } from '../contracts/index.ts';
import type { Descriptor, Index, Manifest } from '../image/index.ts';
import type { GrowingBlob, Store } from '../store/index.ts';

export interface RegistryOptions {
  /**
   * Mirrors by registry host, in the order to try: `docker.io` -> `['127.0.0.1:5000']`. A mirror may be `HOST[:PORT]`
   * or a URL with a path prefix. Absent = what `SLIPWAY_MIRRORS` in `env` says.
   */
  readonly mirrors?: Mirrors | undefined;
  /** Hosts (`HOST[:PORT]`) that may be spoken to in plain http or with a certificate nobody vouches for; loopback always may. */
  readonly insecure?: readonly string[] | undefined;
  /** For HTTP_PROXY, DOCKER_CONFIG, REGISTRY_AUTH_FILE, HOME, SLIPWAY_MIRRORS. Absent = `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** Ends every request under way. */
  readonly signal?: AbortSignal | undefined;
  /** Time limits and retries; tests make them short. */
  readonly limits?: Partial<Limits> | undefined;
}

export type Mirrors = ReadonlyMap<string, readonly string[]>;

/** Milliseconds, unless the name says otherwise. */
export interface Limits {
  /** To open a connection, TLS included. */
  readonly connect: number;
  /** From the request to the head of the answer. */
  readonly headers: number;
  /** Between two pieces of a body. */
  readonly idle: number;
  /** Further tries after a failure that may pass (5xx, 429, a cut connection). */
  readonly retries: number;
  /** Before the first further try; doubles each time. */
  readonly backoff: number;
  /** The longest Retry-After that is obeyed. */
  readonly retryAfter: number;
}

export interface CallOptions {
  readonly signal?: AbortSignal | undefined;
  /** Bytes so far of the blob; called often. */
  readonly onProgress?: ((bytes: number) => void) | undefined;
}

/** A manifest or index as the registry served it, verified against its digest. */
export type FetchedManifest =
  | {
      readonly kind: 'manifest';
      readonly descriptor: Descriptor;
      readonly bytes: Uint8Array;
      readonly document: Manifest;
    }
  | { readonly kind: 'index'; readonly descriptor: Descriptor; readonly bytes: Uint8Array; readonly document: Index };

export interface Referrers {
  /** False for a registry without the referrers API: then the list is that of its fallback tag. */
  readonly isListed: boolean;
  readonly manifests: readonly Descriptor[];
}

/** Where the bytes of a blob to push come from; `open` may be called again after a cut connection. */
export interface BlobSource {
  readonly digest: Digest;
  /** Bytes. */
  readonly size: number;
  open(): AsyncIterable<Uint8Array>;
  /** From a byte on, for an upload that goes on. Absent = what comes before is read and dropped. */
  openAt?(start: number): AsyncIterable<Uint8Array>;
}

/**
 * The distribution protocol (distribution-spec 1.1). `repository` is always the full name with its registry, as
 * `docker.io/library/golang` or `127.0.0.1:5000/team/app`; `reference` a tag or a digest.
 *
 * Every method throws BuildError: `image-not-found`, `auth`, `registry`, `digest-mismatch`, `hostile`, `cancelled`.
 */
export interface Registry {
  /** Tag (or digest) to descriptor: HEAD, then GET where HEAD tells too little. */
  resolve(repository: string, reference: string, options?: CallOptions): Promise<Descriptor>;
  /** A manifest or index, verified; by tag its digest is that of the bytes. */
  fetchManifest(repository: string, reference: string, options?: CallOptions): Promise<FetchedManifest>;
  /**
   * A blob as a stream: resumed after a cut, ends with `digest-mismatch` when digest or size are not the descriptor's. Its
   * parts are the reader's, to change or free.
   */
  fetchBlob(
    repository: string,
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    /** `verify` false: whoever reads checks the digest; the size is checked anyway. */
    options?: CallOptions & { readonly verify?: boolean | undefined },
  ): AsyncIterable<Uint8Array>;
  /**
   * Fetches a blob into the store unless it is there, tried from each repository in turn. Callers hold a lock when two
   * processes may want it.
   */
  pullBlob(
    repositories: readonly string[],
    descriptor: Pick<Descriptor, 'digest' | 'size'>,
    store: Store,
    options?: CallOptions,
  ): Promise<void>;
  /** Whether the registry itself (no mirror) has a blob. */
  hasBlob(repository: string, digest: Digest, options?: CallOptions): Promise<boolean>;
  /** Uploads a blob unless it is there; `mountFrom`: repositories that may have it, tried when on the same registry. */
  pushBlob(
    repository: string,
    blob: BlobSource,
    options?: CallOptions & { readonly mountFrom?: readonly string[] | undefined },
  ): Promise<'exists' | 'mounted' | 'pushed'>;
  /**
   * Uploads a blob while it is made, without asking whether it is there. Any error leaves the registry as it was: the blob
   * can be pushed when it is whole.
   */
  pushGrowingBlob(repository: string, blob: GrowingBlob, options?: CallOptions): Promise<void>;
  /** What the registry itself (no mirror) has under a tag or digest, verified; undefined = nothing. */
  ownManifest(
    repository: string,
    reference: string,
    options?: CallOptions,
  ): Promise<{ readonly mediaType: string; readonly digest: Digest; readonly bytes: Uint8Array } | undefined>;
  /** Removes a tag. Errors: `registry` from the many registries that do not let tags be removed. */
  removeTag(repository: string, tag: string, options?: CallOptions): Promise<void>;
  /** What refers to a manifest, as the registry itself lists it (distribution-spec, Listing Referrers). */
  referrers(repository: string, digest: Digest, options?: CallOptions): Promise<Referrers>;
  /**
   * Puts a manifest that names a subject under its digest. Where the registry does not list referrers itself, the subject's
   * fallback tag gets it too (distribution-spec, Pushing Manifests with Subject).
   */
  pushReferrer(
    repository: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: CallOptions,
  ): Promise<Digest>;
  /** Puts a manifest or index under a tag or its digest. Its blobs must be there. */
  pushManifest(
    repository: string,
    reference: string,
    manifest: { readonly mediaType: string; readonly bytes: Uint8Array },
    options?: CallOptions,
  ): Promise<Digest>;
  /** Plain GET for ADD and http contexts, with the same limits, retries and proxies, and no credentials of registries. */
  readonly http: HttpGet;
  /** Closes connections. */
  close(): Promise<void>;
}

export interface HttpResponse {
  readonly status: number;
  /** Lower-case names. */
  readonly headers: Readonly<Record<string, string>>;
  /** After redirects. */
  readonly url: string;
  readonly body: AsyncIterable<Uint8Array>;
}

/** @throws BuildError `registry` when the host cannot be reached. */
export type HttpGet = (
  url: string,
  options?: {
    readonly headers?: Readonly<Record<string, string>> | undefined;
    readonly method?: 'GET' | 'HEAD' | undefined;
    readonly signal?: AbortSignal | undefined;
  },
) => Promise<HttpResponse>;
