import { parseReference } from '../image/reference.ts';
import { login as registryLogin, logout as registryLogout, type SavedLogin } from '../registry/index.ts';
import type { HostOptions } from './options.ts';

/**
 * Checks credentials with a registry (default Docker Hub) and saves them where docker and podman look, too.
 * Errors: `auth`, `registry`, `usage` for a host that is none.
 */
export async function login(
  given: { readonly registry?: string | undefined; readonly username: string; readonly password: string },
  options: HostOptions = {},
): Promise<SavedLogin & { readonly registry: string }> {
  const registry = registryHost(given.registry);
  const { username, password } = given;
  return { registry, ...(await registryLogin({ host: registry, username, password }, options.env ?? process.env)) };
}

/** Forgets credentials; `places` is empty when there were none. */
export async function logout(
  registry: string | undefined,
  options: HostOptions = {},
): Promise<{ readonly registry: string; readonly places: readonly string[] }> {
  const host = registryHost(registry);
  return { registry: host, places: await registryLogout(host, options.env ?? process.env) };
}

/** A host as users write it, also as a URL, in the form of image names. */
function registryHost(text: string | undefined): string {
  if (text === undefined || text === '') return 'docker.io';
  const host = text.replace(/^https?:\/\//, '').replace(/\/.*$/, '');
  // `x/y` would be a Hub user: a name with a port or a dot, or localhost, is a host.
  return parseReference(`${host}/any/name`).domain;
}
