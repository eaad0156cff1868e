import { execFileSync, spawn } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';

export interface TestRegistry {
  /** `127.0.0.1:PORT`. */
  readonly host: string;
  /** Copies an OCI layout (`path:tag`) in as `library/NAME:TAG`. */
  push(layout: string, name: string): void;
  stop(): Promise<void>;
}

/**
 * A real registry (Debian's docker-registry) on a free port of loopback.
 *
 * @param htpasswd Lines `user:bcrypt`: it wants a login then.
 * @param tls Files: it speaks https then.
 */
export async function startRegistry(
  dir: string,
  htpasswd?: string,
  tls?: { readonly certificate: string; readonly key: string },
): Promise<TestRegistry> {
  const port = await freePort();
  const host = `127.0.0.1:${port}`;
  mkdirSync(dir, { recursive: true });
  const config = join(dir, 'registry.yml');
  const users = join(dir, 'htpasswd');
  if (htpasswd !== undefined) writeFileSync(users, htpasswd);
  const auth = htpasswd === undefined ? '' : `auth: {htpasswd: {realm: test, path: '${users}'}}\n`;
  const secure = tls === undefined ? '' : `, tls: {certificate: '${tls.certificate}', key: '${tls.key}'}`;
  writeFileSync(
    config,
    `version: 0.1\nlog: {level: error}\nstorage: {filesystem: {rootdirectory: ${join(dir, 'data')}}, delete: {enabled: true}}\nhttp: {addr: '${host}'${secure}}\nvalidation: {disabled: true}\n${auth}`,
  );
  const server = spawn('docker-registry', ['serve', config], { stdio: 'ignore' });
  const exited = new Promise<void>((resolve) => server.on('exit', () => resolve()));
  for (let i = 0; ; i++) {
    if (
      await fetch(`http://${host}/v2/`).then(
        // 400: it speaks https.
        (answer) => answer.ok || answer.status === 401 || answer.status === 400,
        () => false,
      )
    )
      break;
    if (i > 100) throw new Error('docker-registry does not answer');
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  return {
    host,
    push: (layout, name) =>
      execFileSync('skopeo', [
        'copy',
        '--quiet',
        '--all',
        '--dest-tls-verify=false',
        `oci:${layout}`,
        `docker://${host}/library/${name}`,
      ]),
    stop: async () => {
      server.kill('SIGKILL');
      await exited;
    },
  };
}

export async function freePort(): Promise<number> {
  return await new Promise((resolve) => {
    const server = createServer();
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      server.close(() => resolve(typeof address === 'object' && address !== null ? address.port : 0));
    });
  });
}
