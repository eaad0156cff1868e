/**
 * One build on a daemon. It is ours to be the front end: an empty solve opens a gateway, through which image configs are
 * asked for, graphs go over, and the result is handed back with its image configs. Meanwhile the daemon asks the session
 * for files, and tells what it does as status.
 */
import { createHash } from 'node:crypto';
import { BuildError } from '../contracts/index.ts';
import type {
  BuildEventSink,
  Digest,
  RemoteEngine,
  RemoteResult,
  RemoteTarget,
  SourceFile,
} from '../contracts/index.ts';
import { marshal } from '../llb/index.ts';
import type { Vertex } from '../llb/index.ts';
import { finishLocalCaches } from './cache.ts';
import type { CacheOptions } from './cache.ts';
import { watchAlive } from './alive.ts';
import { adapt, readCapabilities } from './capabilities.ts';
import type { DaemonCapabilities } from './capabilities.ts';
import { connectDaemon, explainLoss } from './daemon.ts';
import type { Daemon } from './daemon.ts';
import { builderError, lostDaemon, toBuildError } from './errors.ts';
import type { PbSolveResponse } from './gen/control.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { BUILD_ID, CONTROL, GATEWAY } from './methods.ts';
import { finishLayouts } from './layout.ts';
import type { RemoteOutput } from './outputs.ts';
import { createResolver } from './resolve.ts';
import type { RemoteFrontend } from './resolve.ts';
import { remoteTree } from './remote-tree.ts';
import { resultOf } from './result.ts';
import { authServices } from './session/auth.ts';
import { contentServices } from './session/content.ts';
import type { ContentStore } from './session/content.ts';
import { checkDestinations, fileSendServices } from './session/file-send.ts';
import { fileSyncServices } from './session/file-sync.ts';
import type { ContextProvider } from './session/file-sync.ts';
import { secretServices, sshServices } from './session/secrets.ts';
import type { SecretProvider, SshProvider } from './session/secrets.ts';
import { newSessionId, openSession } from './session/session.ts';
import { createUploads } from './session/upload.ts';
import { createStatusReader } from './status.ts';
import type { StatusReader } from './status.ts';
import { endpointText } from './transport/endpoint.ts';
import type { Endpoint, Environment } from './transport/endpoint.ts';

export interface RemoteEngineOptions {
  readonly endpoint: Endpoint;
  /** The builder's name, where it has one. */
  readonly name?: string | undefined;
  /** Of several pods, equal keys get the same. */
  readonly routeKey?: string | undefined;
  readonly env: Environment;
  readonly signal: AbortSignal;
  readonly events: BuildEventSink;
  readonly contexts: ContextProvider;
  /** Names the contexts, so that the daemon compares with what they held before: their directories. */
  readonly contextKey: string;
  readonly secrets: SecretProvider;
  readonly ssh: SshProvider;
  readonly outputs: readonly RemoteOutput[];
  readonly stdout: NodeJS.WritableStream;
  readonly cache: CacheOptions;
  /** `network.host`, ...: what the build asks for and the daemon must allow. */
  readonly entitlements: () => readonly string[];
  /** Those of this daemon, as text; undefined = its own. */
  readonly platforms: readonly string[] | undefined;
  /** More platforms than one are asked for, though this daemon may get only one of them. */
  readonly multiPlatform: boolean;
  /** `--pull`. */
  readonly pull: boolean;
}

/** The end of the status stream is waited for this long after the build. Milliseconds. */
const STATUS_GRACE = 3000;
/** A daemon is asked whether it is there this often, and has as long to answer. Milliseconds. */
const SIGN_OF_LIFE = 15_000;
/** As busy as daemons get, they answer one of so many. */
const MISSES = 3;
/** To say why a build is given up. Milliseconds. */
const RETURN_TIMEOUT = 2000;

export function createRemoteEngine(options: RemoteEngineOptions): RemoteEngine<RemoteFrontend> {
  const where = endpointText(options.endpoint);
  return {
    name: 'buildkit',
    description: options.name === undefined ? where : `${options.name}, ${where}`,
    async build(convert) {
      await checkDestinations(options.outputs, options.stdout);
      const daemon = await connectDaemon(options.endpoint, options);
      try {
        return await new RemoteBuild(daemon, options).run(convert);
      } finally {
        daemon.close();
      }
    },
    close: async () => undefined,
  };
}

interface Sending {
  readonly capabilities: DaemonCapabilities;
  readonly reader: StatusReader;
}

class RemoteBuild {
  readonly #daemon: Daemon;
  readonly #options: RemoteEngineOptions;
  readonly #ref = newSessionId();
  readonly #sessionId = newSessionId();
  /** Ends every call of this build. */
  readonly #abort = new AbortController();
  /** Layouts that the session serves, by id; filled while graphs are made. */
  readonly #stores: Map<string, ContentStore>;
  readonly #reader: StatusReader;
  readonly #uploads = createUploads();
  readonly #files = new Set<SourceFile>();
  /** Blobs of the layout that the daemon writes. */
  readonly #written = new Set<string>();
  /** What went wrong on our side, which the daemon only passes on as a text. */
  #ours: BuildError | undefined;

  constructor(daemon: Daemon, options: RemoteEngineOptions) {
    this.#daemon = daemon;
    this.#options = options;
    this.#reader = createStatusReader(options.events);
    this.#stores = new Map(options.cache.stores);
    for (const { receive } of options.outputs) {
      if (receive?.kind === 'layout')
        this.#stores.set('export', { directory: receive.dest, writable: true, written: this.#written });
    }
  }

  async run(convert: (daemon: RemoteFrontend) => Promise<readonly RemoteTarget[]>): Promise<RemoteResult> {
    const { signal } = this.#options;
    const onAbort = (): void => this.#abort.abort(signal.reason);
    if (signal.aborted) onAbort();
    signal.addEventListener('abort', onAbort, { once: true });
    const auth = authServices(this.#options.env);
    try {
      const session = await this.#openSession(auth.services);
      try {
        return await this.#solve(convert, session.closed);
      } finally {
        session.close();
      }
    } catch (error) {
      throw this.#explain(await explainLoss(this.#daemon, error));
    } finally {
      signal.removeEventListener('abort', onAbort);
      this.#abort.abort(new GrpcError(STATUS.cancelled, 'the build is over'));
      await auth.close();
    }
  }

  async #openSession(auth: Awaited<ReturnType<typeof authServices>>['services']) {
    const { contexts, secrets, ssh, outputs, stdout, contextKey, env } = this.#options;
    return await openSession(this.#daemon.channel, this.#daemon.endpoint, {
      id: this.#sessionId,
      sharedKey: createHash('sha256').update(contextKey).digest('hex').slice(0, 32),
      services: [
        ...auth,
        ...fileSyncServices(contexts),
        ...fileSendServices({ outputs, stdout }),
        ...secretServices(secrets),
        ...sshServices(ssh),
        ...contentServices(this.#stores),
        ...this.#uploads.services,
      ],
      onError: (_path, error) => {
        if (error instanceof BuildError) this.#ours ??= error;
      },
      env,
      signal: this.#abort.signal,
    });
  }

  async #solve(
    convert: (daemon: RemoteFrontend) => Promise<readonly RemoteTarget[]>,
    sessionClosed: Promise<void>,
  ): Promise<RemoteResult> {
    const reader = this.#reader;
    const outer = this.#daemon.channel.unary(CONTROL.solve, this.#request(), { signal: this.#abort.signal });
    outer.catch(() => undefined);
    const status = this.#follow(reader);
    const lost = sessionClosed.then((): never => {
      throw lostDaemon(`the connection to ${this.#daemon.where} was lost`, {
        hint: 'nothing was written; build again when the daemon is there: it keeps what it has done',
      });
    });
    lost.catch(() => undefined);
    const silent = watchAlive(
      async () => await this.#daemon.channel.unary(CONTROL.listWorkers, {}, { timeout: SIGN_OF_LIFE }),
      { interval: SIGN_OF_LIFE, misses: MISSES, signal: this.#abort.signal },
    );
    silent.catch(() => undefined);
    try {
      // Whatever ends first with an error ends the build.
      await Promise.race([this.#frontend(convert, reader), failureOf(outer), lost, silent]);
      const response = await Promise.race([outer, lost, silent]);
      await Promise.race([status, delay(STATUS_GRACE)]);
      return this.#finish(response);
    } catch (error) {
      // What the daemon still has to say about the failure belongs before it.
      if (!this.#abort.signal.aborted) await Promise.race([status, delay(STATUS_GRACE)]);
      throw error;
    }
  }

  #request() {
    const { outputs, cache, entitlements, platforms } = this.#options;
    const exporters = outputs.map((output) => ({ Type: this.#exporterType(output), Attrs: output.attrs }));
    return {
      Ref: this.#ref,
      Session: this.#sessionId,
      Exporters: exporters,
      // Daemons from before BuildKit 0.13 read these instead.
      ExporterDeprecated: exporters[0]?.Type,
      ExporterAttrsDeprecated: exporters[0]?.Attrs,
      Cache: { Exports: cache.exports.map(cacheEntry), Imports: cache.imports.map(cacheEntry) },
      Entitlements: [...entitlements()],
      // Daemons compare it with what they get.
      FrontendAttrs: platforms === undefined ? undefined : { platform: platforms.join(',') },
    };
  }

  /** dockerd has an exporter of its own, into the images that `docker images` shows. */
  #exporterType({ type, attrs }: RemoteOutput): string {
    const isNamed = attrs['push-by-digest'] !== 'true';
    return type === 'image' && isNamed && this.#daemon.endpoint.kind === 'docker' ? 'moby' : type;
  }

  /** Makes graphs and hands them over; resolves when the daemon has them. */
  async #frontend(
    convert: (daemon: RemoteFrontend) => Promise<readonly RemoteTarget[]>,
    reader: StatusReader,
  ): Promise<void> {
    const { channel } = this.#daemon;
    const call = { signal: this.#abort.signal, metadata: { [BUILD_ID]: this.#ref } };
    try {
      const pong = await channel.unary(GATEWAY.ping, {}, call);
      const sending = { capabilities: readCapabilities(pong), reader };
      this.#check(sending.capabilities);
      const { pull } = this.#options;
      const layoutStore = (path: string): string => this.#layoutStore(path);
      const native = pong.Workers?.[0]?.platforms?.[0];
      const targets = await convert({
        ...createResolver({ channel, call, layoutStore, where: this.#daemon.where, pull }),
        platform:
          native === undefined
            ? undefined
            : { os: native.OS ?? '', architecture: native.Architecture ?? '', variant: native.Variant || undefined },
        files: async (graph) => {
          const ref = await this.#send({ definition: graph }, sending, true);
          return remoteTree({ channel, call, ref, where: this.#daemon.where });
        },
        evaluate: async (graph) => {
          await this.#send({ definition: graph }, sending, true);
        },
        signal: this.#abort.signal,
        can: (capability) => sending.capabilities.llb.has(capability),
        offerUpload: (stream) => this.#uploads.offer(stream),
      });
      const refs: string[] = [];
      for (const target of targets) refs.push(await this.#send(target, sending, false));
      const result = resultOf(targets, refs, this.#options.multiPlatform);
      await channel.unary(GATEWAY.return, { result }, call);
    } catch (error) {
      // The solve will fail with its text; what we know says more.
      if (error instanceof BuildError) this.#ours ??= error;
      await this.#giveUp(error);
      throw error;
    }
  }

  #check({ llb }: DaemonCapabilities): void {
    if (this.#options.outputs.length > 1 && !llb.has('exporter.multiple')) {
      throw builderError(`${this.#daemon.where} is too old for several outputs at once: it lacks exporter.multiple`, {
        hint: 'give one -o, and build again for the other: all steps are cached then',
      });
    }
  }

  /** A stable id for a layout's directory; the session serves it from then on. */
  #layoutStore(path: string): string {
    const id = `layout-${createHash('sha256').update(path).digest('hex').slice(0, 16)}`;
    // The session asks with a prefix that says what kind of store it means.
    for (const key of [id, `oci:${id}`]) this.#stores.set(key, { directory: path, writable: false });
    return id;
  }

  /**
   * @param evaluate Answer when it is made, not when it is understood.
   * @returns the daemon's name for the result; '' for scratch
   */
  async #send(
    { definition: graph, moved }: Pick<RemoteTarget, 'definition' | 'moved'>,
    { capabilities, reader }: Sending,
    evaluate: boolean,
  ): Promise<string> {
    for (const vertex of graph.vertices) {
      if (vertex.metadata.location !== undefined) this.#files.add(vertex.metadata.location.file);
    }
    const adapted = adapt(graph, {
      capabilities,
      where: this.#daemon.where,
      sessionId: this.#sessionId,
      layoutStore: (path) => this.#layoutStore(path),
      moved,
    });
    // What stands for a moved stage is a step of its own: the stage itself is told of by who makes it.
    const own = graph.vertices.filter(({ digest }) => moved?.has(digest) !== true);
    const originals = new Map<Digest, Vertex>(own.map((vertex) => [vertex.digest, vertex]));
    reader.learn(adapted, originals);
    if (adapted.definition.result === undefined) return '';
    const response = await this.#daemon.channel.unary(
      GATEWAY.solve,
      {
        Definition: marshal(adapted.definition, capabilities.llb),
        allowResultReturn: true,
        allowResultArrayRef: true,
        ...(evaluate && { Evaluate: true }),
        CacheImports: this.#options.cache.imports.map(cacheEntry),
      },
      { signal: this.#abort.signal, metadata: { [BUILD_ID]: this.#ref } },
    );
    return response.result?.ref?.id ?? response.result?.refDeprecated ?? response.ref ?? '';
  }

  /** Tells the daemon that no result will come, so that it does not wait for one. */
  async #giveUp(error: unknown): Promise<void> {
    if (this.#abort.signal.aborted) return;
    const message = error instanceof Error ? error.message : String(error);
    await this.#daemon.channel
      .unary(
        GATEWAY.return,
        { error: { code: STATUS.unknown, message } },
        { metadata: { [BUILD_ID]: this.#ref }, timeout: RETURN_TIMEOUT },
      )
      .catch(() => undefined);
  }

  async #follow(reader: StatusReader): Promise<void> {
    const { signal } = this.#abort;
    try {
      const stream = this.#daemon.channel.serverStream(CONTROL.status, { Ref: this.#ref }, { signal });
      for await (const status of stream) reader.read(status);
    } catch {
      // What is to be said about a failure, the solve says.
    }
  }

  #finish({ ExporterResponse: response = {} }: PbSolveResponse): RemoteResult {
    finishLocalCaches(this.#options.cache, response);
    finishLayouts(this.#options.outputs, this.#written, response);
    return { response };
  }

  #explain(error: unknown): unknown {
    const { signal } = this.#options;
    if (this.#ours !== undefined && !signal.aborted) return this.#ours;
    const failedStep: StatusReader['failedStep'] = (message, digest) => this.#reader.failedStep(message, digest);
    return toBuildError(error, { where: this.#daemon.where, signal, files: [...this.#files], failedStep });
  }
}

function cacheEntry({ type, attrs }: CacheOptions['imports'][number]) {
  return { Type: type, Attrs: attrs };
}

/** Rejects when the solve fails; never resolves, as its success is no reason to stop waiting for the front end. */
async function failureOf(outer: Promise<unknown>): Promise<never> {
  await outer;
  return await new Promise<never>(() => undefined);
}

async function delay(milliseconds: number): Promise<void> {
  await new Promise<void>((resolve) => setTimeout(resolve, milliseconds).unref());
}
