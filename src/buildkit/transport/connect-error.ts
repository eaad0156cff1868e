import { BuildError } from '../../contracts/index.ts';
import { builderError, lostDaemon } from '../errors.ts';

/** What a system call, TLS or a program said about the way to a daemon. */
export function connectError(where: string, error: unknown): BuildError {
  if (error instanceof BuildError) return error;
  const { code, message } = error as NodeJS.ErrnoException;
  if (code === 'ENOENT' || code === 'ECONNREFUSED') {
    return lostDaemon(`no daemon listens at ${where}`, {
      hint: 'start it, or name another one with --builder; slipway builder ls shows those that are known',
      cause: error,
    });
  }
  if (code === 'EACCES' || code === 'EPERM') {
    return new BuildError({
      code: 'permission',
      message: `${where} may not be opened: permission denied`,
      hint: 'this user is not among those whom the daemon serves; for Docker, join the group "docker" or use sudo',
      cause: error,
    });
  }
  if (code === 'EPROTO' || code?.startsWith('ERR_SSL_') === true || code === 'ERR_TLS_CERT_ALTNAME_INVALID') {
    return builderError(`TLS with ${where} fails: ${message}`, {
      hint: 'check that the daemon speaks TLS, and the files after ca=, cert= and key= in its URL',
      cause: error,
    });
  }
  if (code !== undefined && /CERT|SELF_SIGNED|UNABLE_TO|ISSUER/.test(code)) {
    return builderError(`the certificate of ${where} is not accepted: ${message}`, {
      hint: 'name the authority that signed it: tcp://host:1234?ca=ca.pem, and servername=NAME where the names differ',
      cause: error,
    });
  }
  return lostDaemon(`${where} cannot be reached: ${message}`, { cause: error });
}
