/** A BuildKit daemon that we are connected to. */
import type { Duplex } from 'node:stream';
import { toBuildError } from './errors.ts';
import type { PbUsageRecord, PbWorkerRecord } from './gen/control.ts';
import { createChannel } from './grpc/client.ts';
import type { Channel } from './grpc/client.ts';
import { GrpcError, STATUS } from './grpc/status.ts';
import { CONTROL } from './methods.ts';
import { dial } from './transport/dial.ts';
import type { DialOptions } from './transport/dial.ts';
import { endpointText } from './transport/endpoint.ts';
import { endOfProgram } from './transport/program.ts';
import type { Endpoint } from './transport/endpoint.ts';

export interface Daemon {
  readonly endpoint: Endpoint;
  /** What carries the channel. */
  readonly stream: Duplex;
  readonly channel: Channel;
  /** As messages name it. */
  readonly where: string;
  close(): void;
}

/** Of a machine in the daemon: what it runs natively and what it keeps. */
export interface DaemonInfo {
  /** `v0.32.2`; undefined where the daemon does not say. */
  readonly version: string | undefined;
  /** `linux/amd64`, native ones first. */
  readonly platforms: readonly string[];
  readonly workers: readonly {
    readonly id: string;
    readonly labels: Readonly<Record<string, string>>;
    readonly platforms: readonly string[];
  }[];
}

/** For small questions; a build has none. Milliseconds. */
const ANSWER_TIMEOUT = 20_000;

/** @throws BuildError `builder`, `permission` */
export async function connectDaemon(endpoint: Endpoint, options: DialOptions): Promise<Daemon> {
  const where = endpointText(endpoint);
  const stream = await dial(endpoint, options);
  const channel = createChannel(stream);
  return { endpoint, stream, channel, where, close: () => channel.close() };
}

/** @throws BuildError `builder` */
export async function daemonInfo(daemon: Daemon, signal: AbortSignal): Promise<DaemonInfo> {
  const { channel } = daemon;
  const options = { signal, timeout: ANSWER_TIMEOUT };
  try {
    const { record = [] } = await channel.unary(CONTROL.listWorkers, {}, options);
    const version = await channel.unary(CONTROL.info, {}, options).then(
      ({ buildkitVersion }) => buildkitVersion?.version,
      (error: unknown) => {
        // Asked since BuildKit 0.11.
        if (error instanceof GrpcError && error.code === STATUS.unimplemented) return undefined;
        throw error;
      },
    );
    const workers = record.map((worker) => ({
      id: worker.ID ?? '',
      labels: worker.Labels ?? {},
      platforms: platformsOf(worker),
    }));
    return {
      version: version ?? record.map((worker) => worker.BuildkitVersion?.version).find((text) => text !== undefined),
      platforms: [...new Set(workers.flatMap((worker) => worker.platforms))],
      workers,
    };
  } catch (error) {
    throw toBuildError(await explainLoss(daemon, error), { where: daemon.where, signal });
  }
}

/** A connection that a program carried died with the program: what it said is the reason. */
export async function explainLoss(daemon: Daemon, error: unknown): Promise<unknown> {
  if (!(error instanceof GrpcError) || error.code !== STATUS.unavailable) return error;
  return (await endOfProgram(daemon.stream)) ?? error;
}

/** Builds under way on the daemon; 0 where it does not say (before BuildKit 0.11). */
export async function activeBuilds({ channel }: Daemon, signal: AbortSignal): Promise<number> {
  const request = { ActiveOnly: true, EarlyExit: true };
  const refs = new Set<string>();
  try {
    for await (const { record } of channel.serverStream(CONTROL.history, request, {
      signal,
      timeout: ANSWER_TIMEOUT,
    })) {
      refs.add(record?.Ref ?? '');
    }
  } catch (error) {
    if (!(error instanceof GrpcError)) throw error;
    return 0; // load is a hint, no reason to fail
  }
  return refs.size;
}

export interface UsageRecord {
  readonly id: string;
  readonly description: string;
  readonly type: string;
  readonly size: number;
  readonly inUse: boolean;
  readonly shared: boolean;
}

/** What the daemon keeps. @throws BuildError `builder` */
export async function diskUsage(daemon: Daemon, signal: AbortSignal): Promise<readonly UsageRecord[]> {
  try {
    const { record = [] } = await daemon.channel.unary(CONTROL.diskUsage, {}, { signal });
    return record.map(usageOf);
  } catch (error) {
    throw toBuildError(await explainLoss(daemon, error), { where: daemon.where, signal });
  }
}

/** Removes what no build is using; yields what went. @throws BuildError `builder` */
export async function* prune(
  daemon: Daemon,
  options: { readonly all?: boolean; readonly keepBytes?: number | undefined; readonly signal: AbortSignal },
): AsyncGenerator<UsageRecord> {
  const { all = false, keepBytes = 0, signal } = options;
  try {
    const request = { all, reservedSpace: BigInt(keepBytes), maxUsedSpace: BigInt(keepBytes) };
    for await (const record of daemon.channel.serverStream(CONTROL.prune, request, { signal })) yield usageOf(record);
  } catch (error) {
    throw toBuildError(await explainLoss(daemon, error), { where: daemon.where, signal });
  }
}

function usageOf(record: PbUsageRecord): UsageRecord {
  return {
    id: record.ID ?? '',
    description: record.Description ?? '',
    type: record.RecordType ?? '',
    size: Number(record.Size ?? 0n),
    inUse: record.InUse === true,
    shared: record.Shared === true,
  };
}

function platformsOf(worker: PbWorkerRecord): readonly string[] {
  return (worker.platforms ?? []).map(({ OS: os = '', Architecture: arch = '', Variant: variant = '' }) =>
    [os, arch, ...(variant === '' ? [] : [variant])].join('/'),
  );
}
