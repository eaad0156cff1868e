import type { FileTree, SourceLocation } from '../contracts/index.ts';
import { BuildError, isDigest } from '../contracts/index.ts';
import type { Definition, Platform } from '../llb/index.ts';
import { describeLayout } from '../source/index.ts';
import type { ResolvedImage } from '../source/index.ts';
import { builderError, toBuildError } from './errors.ts';
import type { CallOptions, Channel } from './grpc/client.ts';
import { GATEWAY } from './methods.ts';

/** What a front end asks of the daemon while it makes a graph. */
export interface RemoteFrontend extends RemoteResolver {
  /** What the daemon runs natively. */
  readonly platform: Platform | undefined;
  /** The files of a result, for a Dockerfile that lies in a repository or an archive. */
  files(graph: Definition): Promise<FileTree>;
  /** Makes something of a graph before all of it can be sent. */
  evaluate(graph: Definition): Promise<void>;
  /** Aborted when the build is over, or the daemon lost. */
  readonly signal: AbortSignal;
  /** Whether the daemon has a capability of LLB: `source.ocilayout`, ... */
  can(capability: string): boolean;
  /** Has the session hand out a stream, once; returns the URL of an http source. */
  offerUpload(stream: AsyncIterable<Uint8Array>): string;
}

/** What images are, as the daemon sees them: it is the one that will pull them. */
export interface RemoteResolver {
  resolveImage(
    ref: string,
    platform: Platform,
    kind: 'docker-image' | 'oci-layout',
    location: SourceLocation | undefined,
  ): Promise<ResolvedImage>;
}

export interface ResolverDeps {
  readonly channel: Channel;
  readonly call: CallOptions & { readonly signal: AbortSignal };
  /** Has the session serve a layout. */
  readonly layoutStore: (path: string) => string;
  readonly where: string;
  /** `--pull`. */
  readonly pull?: boolean | undefined;
}

export function createResolver({ channel, call, layoutStore, where, pull }: ResolverDeps): RemoteResolver {
  const answers = new Map<string, Promise<ResolvedImage>>();
  const ask = async (ref: string, platform: Platform): Promise<ResolvedImage> => {
    const { Digest: digest = '', Config: config = new Uint8Array() } = await channel.unary(
      GATEWAY.resolveImageConfig,
      {
        Ref: ref,
        Platform: {
          OS: platform.os,
          Architecture: platform.architecture,
          Variant: platform.variant,
          OSVersion: platform.osVersion,
        },
        ResolveMode: pull === true ? 'pull' : 'default',
        LogName: `[internal] load metadata for ${ref}`,
      },
      call,
    );
    if (!isDigest(digest)) throw builderError(`${where} answered no digest for ${ref}`);
    return {
      ref: /@sha256:[0-9a-f]{64}$/.test(ref) ? ref : `${ref}@${digest}`,
      digest,
      config: JSON.parse(Buffer.from(config).toString('utf8')) as ResolvedImage['config'],
    };
  };
  return {
    async resolveImage(ref, platform, kind, location) {
      const key = JSON.stringify([kind, ref, platform]);
      let answer = answers.get(key);
      if (answer === undefined) {
        answer = kind === 'docker-image' ? ask(ref, platform) : fromLayout(ref, platform, layoutStore, call.signal);
        answers.set(key, answer);
      }
      try {
        return await answer;
      } catch (error) {
        const known = toBuildError(error, { where, signal: call.signal });
        if (!(known instanceof BuildError)) throw known;
        throw (kind === 'docker-image' ? imageError(known, ref) : known).at(location);
      }
    },
  };
}

/** A layout is on this machine: no daemon has to be asked. */
async function fromLayout(
  ref: string,
  platform: Platform,
  layoutStore: (path: string) => string,
  signal: AbortSignal,
): Promise<ResolvedImage> {
  const found = await describeLayout(ref, platform, signal);
  layoutStore(found.path);
  return found;
}

/** Go's chain of reasons for a missing image says the same five times. */
function imageError(error: BuildError, ref: string): BuildError {
  const text = error.message;
  if (error.code === 'image-not-found' || /not found$/.test(text)) {
    return new BuildError({
      ...error.toInit(),
      code: 'image-not-found',
      message: `there is no image ${ref}`,
      detail: [text],
      hint: 'check its name and tag, and whether the daemon can reach its registry',
    });
  }
  if (error.code === 'builder' && !/lost|cannot be reached/.test(text))
    return new BuildError({ ...error.toInit(), code: 'registry' });
  return error;
}
