import type { Digest, SourceLocation } from '../contracts/index.ts';
import type { Dockerfile } from '../dockerfile/index.ts';
import type { ImageConfig } from '../image/types.ts';
import type { Definition, Platform, VertexInput } from '../llb/index.ts';

/** What an image is, found out without pulling its layers. */
export interface ResolvedImage {
  /** Normalized, with registry and digest: `docker.io/library/alpine:latest@sha256:...`. */
  readonly ref: string;
  /** Of the manifest for the platform, or of the index that holds it. */
  readonly digest: Digest;
  readonly config: ImageConfig;
}

/** The only way out of the pure front end. */
export interface Resolver {
  /**
   * `ref` is as written in the Dockerfile or a named context, normalized by the front end to `docker.io/library/x:latest`
   * form; `kind` says whether it is a registry reference or an OCI layout's (`oci-layout://path[:tag][@digest]`).
   */
  resolveImage(
    ref: string,
    platform: Platform,
    kind: 'docker-image' | 'oci-layout',
    location: SourceLocation | undefined,
  ): Promise<ResolvedImage>;
}

/** `--build-context name=value`, already classified by `api/`. */
export type NamedContext =
  /** A directory, read in place through the local source `name`; `excludes` from its own .dockerignore. */
  | { readonly kind: 'local'; readonly sourceName: string; readonly excludes: readonly string[] }
  | { readonly kind: 'docker-image'; readonly ref: string }
  /** `path[:tag][@digest]` after `oci-layout://`. */
  | { readonly kind: 'oci-layout'; readonly ref: string }
  | { readonly kind: 'git'; readonly url: string }
  /** A file, which as the main context is called `context`; `isArchive`: the main context is what is in it. */
  | { readonly kind: 'http'; readonly url: string; readonly isArchive?: boolean | undefined };

export interface FrontendOptions {
  /** Stage name or index; absent = the last. */
  readonly target?: string | undefined;
  /** Values of `--build-arg`. */
  readonly buildArgs: Readonly<Record<string, string>>;
  /** `--label`: over LABEL, on the target only. */
  readonly labels: Readonly<Record<string, string>>;
  readonly targetPlatform: Platform;
  readonly buildPlatform: Platform;
  /** The same file is converted for other platforms too: names of steps say which. */
  readonly multiPlatform?: boolean | undefined;
  /** COPY writes a file anew when only its time differs from what is below, as BuildKit does. */
  readonly exactLayers?: boolean | undefined;
  /** Keys lower-case; may hold `name:tag` and `name::platform` forms, as with BuildKit (dockerui/namedcontext.go). */
  readonly contexts: Readonly<Record<string, NamedContext>>;
  /** The main context: a local source (name `context`), or a git/http one. */
  readonly context: NamedContext;
  /** `--network`. */
  readonly network: 'sandbox' | 'host' | 'none';
  /** `--no-cache` (true) or `--no-cache-filter` (stage names). */
  readonly noCache: boolean | readonly string[];
  readonly extraHosts: readonly { readonly host: string; readonly ip: string }[];
  readonly hostname?: string | undefined;
  readonly shmSize?: number | undefined;
  readonly ulimits: readonly { readonly name: string; readonly soft: number; readonly hard: number }[];
  readonly cgroupParent?: string | undefined;
  /** `--pull`, passed on as `image.resolvemode`. */
  readonly pull: boolean;
  /** Names of files in the main context, to recognise typos; absent in pure uses. */
}

/** A stage that the target needs, for progress, reports and `peek`. */
export interface StageInfo {
  readonly index: number;
  /** Name, or `stage-<index>` as BuildKit shows it. */
  readonly name: string;
  /** The final file system of the stage; undefined = scratch. */
  readonly result: VertexInput | undefined;
  /** What FROM brought; undefined = scratch. */
  readonly base: VertexInput | undefined;
  /** The FROM word after expansion. */
  readonly baseName: string;
  readonly platform: Platform;
}

export interface FrontendWarning {
  readonly rule: string;
  readonly message: string;
  readonly hint?: string | undefined;
  readonly url?: string | undefined;
  readonly location: SourceLocation | undefined;
}

export interface FrontendResult {
  readonly definition: Definition;
  /** Of the target, `rootfs` absent; `created` and history times are set at export. */
  readonly config: ImageConfig;
  /** Reachable stages in file order, the target last among them or not. */
  readonly stages: readonly StageInfo[];
  readonly target: StageInfo;
  readonly warnings: readonly FrontendWarning[];
  /** From `--build-arg SOURCE_DATE_EPOCH` or an ARG of that name: seconds. */
  readonly sourceDateEpoch: number | undefined;
}

/** Dockerfile to LLB and image config for one target and platform (BuildKit: dockerfile2llb/convert.go). */
export type DockerfileToLlb = (
  dockerfile: Dockerfile,
  options: FrontendOptions,
  resolver: Resolver,
) => Promise<FrontendResult>;
