/**
 * The distribution protocol (OCI distribution-spec 1.1): names to manifests, blobs down and up, credentials, mirrors,
 * retries. It moves bytes and verifies them; what an image means is `image/`, when something is needed is `source/` and
 * `export/`. Answers of a registry are hostile input until their digest says otherwise.
 *
 *     registry.ts   the operations            client.ts    one request: auth, redirects, retries
 *     blobs.ts      download with resume      push.ts      uploads; push-growing.ts of what is not whole yet
 *     auth.ts       challenges and tokens     credentials.ts  Docker's config files and helpers
 *     endpoints.ts  name -> hosts to ask      errors.ts    answers to errors of ours
 */
export * from './types.ts';
export { createCredentialBroker } from './broker.ts';
export type { CredentialBroker } from './broker.ts';
export type { Credentials } from './credentials.ts';
export { createRegistry } from './registry.ts';
export { offlineError, offlineRegistry } from './offline.ts';
export { parseMirrors } from './endpoints.ts';
export { login, logout } from './login.ts';
export type { Login, SavedLogin } from './login.ts';
