import type { BuildEventSink, Digest } from '../contracts/index.ts';
import type { Explanation } from '../solver/index.ts';
import type { VerifiedStep, VerifySample } from './records/verify.ts';

/** What every entry of the library takes from its surroundings. Absent = the process's own. */
export interface HostOptions {
  /** For SLIPWAY_ROOT, SLIPWAY_MIRRORS, DOCKER_CONFIG, proxies. Default: `process.env`. */
  readonly env?: Readonly<Record<string, string | undefined>> | undefined;
  /** The state directory; default as `SLIPWAY_ROOT` and docs/cli.md say. */
  readonly root?: string | undefined;
  readonly signal?: AbortSignal | undefined;
}

export interface BuildOptions extends HostOptions {
  /** A directory; `-` reads a tar or a Dockerfile from `stdin`. */
  readonly context: string;
  /** Path of the Dockerfile, relative to `cwd`; `-` reads it from `stdin`. Default: `Dockerfile` in the context, then `dockerfile`. */
  readonly dockerfile?: string | undefined;
  /** Stage name or index. Default: the last stage. */
  readonly target?: string | undefined;
  /** Names in the local store (`-t`). */
  readonly tags?: readonly string[] | undefined;
  /** `-o` words: `type=oci,dest=...`; a bare path; `-`. */
  readonly outputs?: readonly string[] | undefined;
  /** `[TARGET[PLATFORM],...:]KEY=VALUE`, on the images of all outputs; TARGET is manifest, index, ... */
  readonly annotations?: readonly string[] | undefined;
  readonly buildArgs?: Readonly<Record<string, string>> | undefined;
  /** Name to directory, `oci-layout://path[:tag][@digest]` or `docker-image://ref`. */
  readonly buildContexts?: Readonly<Record<string, string>> | undefined;
  readonly labels?: Readonly<Record<string, string>> | undefined;
  /** True: every step; names: the steps of these stages. */
  readonly noCache?: boolean | readonly string[] | undefined;
  readonly pull?: boolean | undefined;
  /** One layer of what this build adds (`new`) or of everything (`all`), in the image only. Default: a layer a step. */
  readonly squash?: 'new' | 'all' | undefined;
  /** Layers as BuildKit makes them: a file that a COPY writes again with only another time takes its space again. */
  readonly exactLayers?: boolean | undefined;
  /** Ask no registry, web or git server: what the store lacks is an error. */
  readonly offline?: boolean | undefined;
  /** `type=registry|local,...`, or a bare reference: results of other machines (docs/cache-export.md). */
  readonly cacheFrom?: readonly string[] | undefined;
  /** `type=registry|local|inline,...`: where the results of this build go. */
  readonly cacheTo?: readonly string[] | undefined;
  /** `type=registry|local,...[,scope=][,id=]`: fills cache mounts from other machines (docs/cache-mounts.md). */
  readonly cacheMountFrom?: readonly string[] | undefined;
  /** `type=registry|local,...[,scope=][,id=][,max-size=]`: gives cache mounts to other machines. */
  readonly cacheMountTo?: readonly string[] | undefined;
  /**
   * Where to build: a builder's name, the URL of a BuildKit daemon (docs/engines.md), or `embedded`. Default: as
   * SLIPWAY_ENGINE and `slipway builder use` say, else this machine.
   */
  readonly builder?: string | undefined;
  /** SLSA provenance beside the image: true, or `mode=min|max[,builder-id=URL]`. Default: none. */
  readonly provenance?: boolean | string | undefined;
  /** A list of what is in the image beside it, as SPDX. Default: none. */
  readonly sbom?: boolean | string | undefined;
  /** `type=provenance,mode=max`, `type=sbom`: the same in other words. */
  readonly attest?: readonly string[] | undefined;
  /** Read nothing but what `slipway.lock` pins. */
  readonly frozen?: boolean | undefined;
  /** `os/arch[/variant]`, several with commas or as a list: then the image is an index. Default: this machine's. */
  readonly platform?: string | readonly string[] | undefined;
  readonly network?: 'sandbox' | 'host' | 'none' | undefined;
  /** What RUN may ask for: `network.host`, `security.insecure`. */
  readonly allow?: readonly string[] | undefined;
  readonly extraHosts?: readonly { readonly host: string; readonly ip: string }[] | undefined;
  /** Bytes. */
  readonly shmSize?: number | undefined;
  /** For a BuildKit daemon; steps on this machine stay in the cgroup of the build. */
  readonly cgroupParent?: string | undefined;
  readonly ulimits?: readonly { readonly name: string; readonly soft: number; readonly hard: number }[] | undefined;
  /** `id=ID[,src=FILE|,env=NAME]`. */
  readonly secrets?: readonly string[] | undefined;
  /** `ID[=SOCKET]`. */
  readonly ssh?: readonly string[] | undefined;
  /** `REGISTRY=HOST[,HOST]`, before those of SLIPWAY_MIRRORS. */
  readonly mirrors?: readonly string[] | undefined;
  readonly maxParallelRuns?: number | undefined;
  /** What the cache may take after the build: `10GB`, `20%` of its file system, `unlimited`. Default: SLIPWAY_KEEP_STORAGE, else 20%. */
  readonly keepStorage?: string | undefined;
  /** On a BuildKit daemon: ask it what every stage weighs, a question for each directory. */
  readonly stageSizes?: boolean | undefined;
  /** Print the graph instead of building it. */
  readonly print?: 'llb' | 'json' | undefined;
  readonly iidFile?: string | undefined;
  readonly metadataFile?: string | undefined;
  readonly stdin?: AsyncIterable<Uint8Array> | undefined;
  readonly stdout?: NodeJS.WritableStream | undefined;
  /** Base of relative paths; default: the process's. */
  readonly cwd?: string | undefined;
  /** Make some steps that are found again and compare: so many of them, all, or one in ten. */
  readonly verifyCache?: VerifySample | undefined;
  /** Gets, at the end of the build or of its failure, why each step ran that did. */
  readonly explain?: ((explanations: readonly Explanation[]) => void) | undefined;
  /** Gets every event as it happens. */
  readonly onEvent?: BuildEventSink | undefined;
}

/** What a stage weighed and what of it is in the result. Uncompressed bytes of the flattened file system. */
export interface StageWeight {
  readonly name: string;
  readonly builtBytes: number;
  /** Undefined where a daemon does not tell. */
  readonly shippedBytes: number | undefined;
  /** A base was never pulled: its compressed size was counted. */
  readonly estimated: boolean;
  readonly final: boolean;
}

export interface BuildResult {
  /** Of the build's record: `explain`, `diffBuilds` and `slipway builds` know it by this. */
  readonly id: string;
  /** Present when a destination made an image. */
  readonly image?:
    | {
        readonly digest: Digest;
        /** Undefined for an index of several platforms. */
        readonly configDigest?: Digest | undefined;
        /** Undefined where a daemon has them, and does not say. */
        readonly layersSize: number | undefined;
        readonly layers: number | undefined;
        readonly names: readonly string[];
      }
    | undefined;
  readonly stages: readonly StageWeight[];
  /** With `verifyCache`. */
  readonly verified?: readonly VerifiedStep[] | undefined;
  /** With `print`: the definition's bytes, or JSON text. */
  readonly printed?: Uint8Array | string | undefined;
}
