import type { ExecMeta } from '../llb/index.ts';

const PROXY_ARGS = {
  http_proxy: 'httpProxy',
  https_proxy: 'httpsProxy',
  ftp_proxy: 'ftpProxy',
  no_proxy: 'noProxy',
  all_proxy: 'allProxy',
} as const;

/**
 * The proxy arguments of `--build-arg`, in upper or lower case (lower wins). They reach every RUN without an ARG, and
 * neither cache keys nor history know of them.
 */
export function proxyEnv(buildArgs: Readonly<Record<string, string>>): ExecMeta['proxyEnv'] {
  const found: Partial<Record<(typeof PROXY_ARGS)[keyof typeof PROXY_ARGS], string>> = {};
  for (const [name, value] of Object.entries(buildArgs).sort(([a], [b]) => (a < b ? -1 : 1))) {
    const lower = name.toLowerCase();
    if (isProxyArg(lower)) found[PROXY_ARGS[lower]] = value;
  }
  return Object.keys(found).length === 0 ? undefined : found;
}

function isProxyArg(name: string): name is keyof typeof PROXY_ARGS {
  return Object.hasOwn(PROXY_ARGS, name);
}
