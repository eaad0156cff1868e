/** Methods that a daemon calls on the session. */
import type { Method } from '../grpc/client.ts';
import * as pb from '../gen/session.ts';

const auth = <Q, R>(
  name: string,
  request: Method<Q, R>['request'],
  response: Method<Q, R>['response'],
): Method<Q, R> => ({
  path: `/moby.filesync.v1.Auth/${name}`,
  request,
  response,
});
const content = <Q, R>(
  name: string,
  request: Method<Q, R>['request'],
  response: Method<Q, R>['response'],
): Method<Q, R> => ({
  path: `/containerd.services.content.v1.Content/${name}`,
  request,
  response,
});

export const CREDENTIALS = auth('Credentials', pb.CredentialsRequest, pb.CredentialsResponse);
export const FETCH_TOKEN = auth('FetchToken', pb.FetchTokenRequest, pb.FetchTokenResponse);
export const GET_TOKEN_AUTHORITY = auth('GetTokenAuthority', pb.GetTokenAuthorityRequest, pb.GetTokenAuthorityResponse);
export const VERIFY_TOKEN_AUTHORITY = auth(
  'VerifyTokenAuthority',
  pb.VerifyTokenAuthorityRequest,
  pb.VerifyTokenAuthorityResponse,
);
export const GET_SECRET: Method<pb.PbGetSecretRequest, pb.PbGetSecretResponse> = {
  path: '/moby.buildkit.secrets.v1.Secrets/GetSecret',
  request: pb.GetSecretRequest,
  response: pb.GetSecretResponse,
};
export const CHECK_AGENT: Method<pb.PbCheckAgentRequest, pb.PbCheckAgentResponse> = {
  path: '/moby.sshforward.v1.SSH/CheckAgent',
  request: pb.CheckAgentRequest,
  response: pb.CheckAgentResponse,
};
export const HEALTH_CHECK: Method<pb.PbHealthCheckRequest, pb.PbHealthCheckResponse> = {
  path: '/grpc.health.v1.Health/Check',
  request: pb.HealthCheckRequest,
  response: pb.HealthCheckResponse,
};
export const CONTENT_INFO = content('Info', pb.InfoRequest, pb.InfoResponse);
export const CONTENT_STATUS = content('Status', pb.StatusRequest, pb.StatusResponse);
export const CONTENT_ABORT = content('Abort', pb.AbortRequest, pb.Empty);

/** Streams, whose messages the handlers read and write themselves. */
export const FORWARD_AGENT = '/moby.sshforward.v1.SSH/ForwardAgent';
export const FILE_SYNC = '/moby.filesync.v1.FileSync/DiffCopy';
export const FILE_SEND = '/moby.filesync.v1.FileSend/DiffCopy';
export const UPLOAD_PULL = '/moby.upload.v1.Upload/Pull';
export const CONTENT_READ = '/containerd.services.content.v1.Content/Read';
export const CONTENT_WRITE = '/containerd.services.content.v1.Content/Write';
