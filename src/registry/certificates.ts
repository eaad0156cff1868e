/** Certificates for single registries, where docker and podman look for them (`certs.d`, containers-certs.d(5)). */
import { readFileSync, readdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { BuildError } from '../contracts/index.ts';
import type { Env } from './transport.ts';

export interface HostCertificates {
  /** Authorities besides the machine's, PEM. */
  readonly ca: readonly string[];
  /** Who we are, PEM; the first pair that is there. */
  readonly client: { readonly cert: string; readonly key: string } | undefined;
}

/**
 * `HOST[:PORT]/` with `*.crt` (authorities) and `NAME.cert` + `NAME.key` (client).
 *
 * @returns undefined when there is nothing for the host
 * @throws BuildError `registry` for a certificate without its key
 */
export function hostCertificates(host: string, env: Env): HostCertificates | undefined {
  const home = env['HOME'] ?? homedir();
  const config = env['XDG_CONFIG_HOME'] ?? join(home, '.config');
  const roots = [
    join(config, 'containers/certs.d'),
    join(config, 'docker/certs.d'),
    '/etc/containers/certs.d',
    '/etc/docker/certs.d',
  ];
  for (const root of roots) {
    const found = certificatesIn(join(root, host));
    if (found !== undefined) return found;
  }
  return undefined;
}

function certificatesIn(directory: string): HostCertificates | undefined {
  let names: readonly string[];
  try {
    names = readdirSync(directory).sort();
  } catch {
    return undefined;
  }
  const ca = names.filter((name) => name.endsWith('.crt')).map((name) => read(join(directory, name)));
  const cert = names.find((name) => name.endsWith('.cert'));
  if (cert === undefined) return ca.length === 0 ? undefined : { ca, client: undefined };
  const key = cert.replace(/\.cert$/, '.key');
  if (!names.includes(key)) {
    throw new BuildError({
      code: 'registry',
      message: `${join(directory, cert)} has no key beside it`,
      hint: `add ${key}, or remove the certificate`,
    });
  }
  return { ca, client: { cert: read(join(directory, cert)), key: read(join(directory, key)) } };
}

function read(file: string): string {
  try {
    return readFileSync(file, 'utf8');
  } catch (error) {
    throw new BuildError({
      code: 'permission',
      message: `${file} cannot be read (${(error as NodeJS.ErrnoException).code ?? 'error'})`,
      cause: error,
    });
  }
}
