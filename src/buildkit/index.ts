/**
 * The second engine: the same graph on a BuildKit daemon, for those who outgrow one machine. A client, not another
 * cluster: the daemon solves and exports, we are the front end of the build and serve it what it asks for.
 *
 *     transport/   ways to a daemon: sockets, TLS, dockerd's upgrade, programs (docker, podman, kubectl, ssh)
 *     grpc/        calls in both directions on Node's HTTP/2; our codec of `llb/` does the messages
 *     session/     what a daemon asks for: files, credentials, secrets, agents, a place for results
 *     fsutil/      the transfer of directories that sessions speak
 *     engine.ts    one build; capabilities.ts, status.ts, errors.ts: the daemon's language and ours
 *
 * A *daemon* is a BuildKit that we are connected to; a *builder* is a name for one or several of them, its *nodes*
 * (`api/builders/`). Not here: the Dockerfile (`frontend/`), what is asked of registries by ourselves (`registry/`).
 */
export { parseCacheOptions } from './cache.ts';
export type { CacheOptions } from './cache.ts';
export { connectDaemon, daemonInfo, diskUsage, prune } from './daemon.ts';
export type { Daemon, DaemonInfo, UsageRecord } from './daemon.ts';
export { isLostDaemon } from './errors.ts';
export { createRemoteEngine } from './engine.ts';
export type { RemoteEngineOptions } from './engine.ts';
export { topOf } from './layout.ts';
export { assignPlatforms, groupByNode, idleNodes } from './nodes.ts';
export type { Assignment, NodeState } from './nodes.ts';
export { partOfStage } from './partial.ts';
export { independentStages, placeGroups, stepsBefore } from './stages.ts';
export type { MovableStage, StageGroup } from './stages.ts';
export { parseRemoteOutputs, withEpoch, withoutRewriting } from './outputs.ts';
export type { RemoteOutput } from './outputs.ts';
export { probeNode } from './probe.ts';
export type { NodeToProbe, ProbedNode } from './probe.ts';
export type { RemoteFrontend } from './resolve.ts';
export { hasContainerdStore, pushImage } from './transport/docker-api.ts';
export { DEFAULT_SOCKET, endpointText, parseEndpoint } from './transport/endpoint.ts';
export type { Endpoint } from './transport/endpoint.ts';
