/** Methods of the daemon: its control service, and the gateway by which we are the front end of a build. */
import type { Method } from './grpc/client.ts';
import * as control from './gen/control.ts';
import * as gateway from './gen/gateway.ts';

type Shape<Q, R> = Method<Q, R>;
const controlMethod = <Q, R>(
  name: string,
  request: Shape<Q, R>['request'],
  response: Shape<Q, R>['response'],
): Shape<Q, R> => ({
  path: `/moby.buildkit.v1.Control/${name}`,
  request,
  response,
});
const bridge = <Q, R>(
  name: string,
  request: Shape<Q, R>['request'],
  response: Shape<Q, R>['response'],
): Shape<Q, R> => ({
  path: `/moby.buildkit.v1.frontend.LLBBridge/${name}`,
  request,
  response,
});

export const CONTROL = {
  solve: controlMethod('Solve', control.SolveRequest, control.SolveResponse),
  status: controlMethod('Status', control.StatusRequest, control.StatusResponse),
  info: controlMethod('Info', control.InfoRequest, control.InfoResponse),
  listWorkers: controlMethod('ListWorkers', control.ListWorkersRequest, control.ListWorkersResponse),
  diskUsage: controlMethod('DiskUsage', control.DiskUsageRequest, control.DiskUsageResponse),
  history: controlMethod('ListenBuildHistory', control.BuildHistoryRequest, control.BuildHistoryEvent),
  prune: controlMethod('Prune', control.PruneRequest, control.UsageRecord),
} as const;

export const GATEWAY = {
  ping: bridge('Ping', gateway.PingRequest, gateway.PongResponse),
  resolveImageConfig: bridge(
    'ResolveImageConfig',
    gateway.ResolveImageConfigRequest,
    gateway.ResolveImageConfigResponse,
  ),
  solve: bridge('Solve', gateway.SolveRequest, gateway.SolveResponse),
  readDir: bridge('ReadDir', gateway.ReadDirRequest, gateway.ReadDirResponse),
  readFile: bridge('ReadFile', gateway.ReadFileRequest, gateway.ReadFileResponse),
  return: bridge('Return', gateway.ReturnRequest, gateway.ReturnResponse),
} as const;

/** Metadata key that names the build which a call to the gateway belongs to. */
export const BUILD_ID = 'buildkit-controlapi-buildid';
