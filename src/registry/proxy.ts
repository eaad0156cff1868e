/** Proxies on the way to registries: which one the environment names, and connections through it. */
import type { OutgoingHttpHeaders } from 'node:http';
import { isIP, type Socket } from 'node:net';
import { BuildError } from '../contracts/index.ts';
import { isLoopback } from './endpoints.ts';
import { NO_CONNECTION, coded } from './retry.ts';
import type { Env } from './transport.ts';

/**
 * As Go's httpproxy.FromEnvironment: each scheme has its own variable, lower case first; loopback is asked directly.
 * @throws BuildError `usage` for what is no URL of a proxy that speaks http or https.
 */
export function proxyFor(url: URL, env: Env): URL | undefined {
  if (isLoopback(url.host)) return undefined;
  const names = url.protocol === 'https:' ? ['https_proxy', 'HTTPS_PROXY'] : ['http_proxy', 'HTTP_PROXY'];
  const name = names.find((known) => env[known] !== undefined) ?? '';
  const value = env[name] ?? '';
  if (value === '' || isExcepted(url, env['no_proxy'] ?? env['NO_PROXY'] ?? '')) return undefined;
  const text = value.includes('://') ? value : `http://${value}`;
  const proxy = URL.canParse(text) ? new URL(text) : undefined;
  if (proxy?.protocol === 'http:' || proxy?.protocol === 'https:') return proxy;
  // Not the value itself: there may be a password in it.
  throw new BuildError({
    code: 'usage',
    message:
      proxy === undefined
        ? `the environment's ${name} is not the URL of a proxy`
        : `the environment's ${name} names a proxy of another kind than http and https: ${proxy.protocol}//`,
    hint: `set ${name} to http://HOST:PORT or https://HOST:PORT, or to nothing; NO_PROXY names hosts that are asked directly`,
  });
}

/**
 * Names stand for themselves and what lies below them (`.name` and `*.name` only for the latter), addresses for themselves,
 * `*` for all; each may have a port.
 */
function isExcepted(url: URL, list: string): boolean {
  const host = url.hostname.replace(/^\[|\]$/g, '').toLowerCase();
  const port = url.port === '' ? (url.protocol === 'https:' ? '443' : '80') : url.port;
  return list
    .toLowerCase()
    .split(/[\s,]+/)
    .filter((entry) => entry !== '')
    .some((entry) => {
      const [, bracketed, plain = '', ownPort] = /^(?:\[(.+)\]|([^:]*|.*:.*:.*))(?::(\d+))?$/.exec(entry) ?? [];
      if (ownPort !== undefined && ownPort !== port) return false;
      const name = bracketed ?? plain;
      const below = name.replace(/^\*?(?=\.)/, '');
      return (
        name === '*' || host === name || (below !== '' && host.endsWith(below.startsWith('.') ? below : `.${below}`))
      );
    });
}

/** `Proxy-Authorization` for a proxy that is named with a user. */
export function proxyHeaders(proxy: URL): OutgoingHttpHeaders {
  if (proxy.username === '') return {};
  const account = `${decodeURIComponent(proxy.username)}:${decodeURIComponent(proxy.password)}`;
  return { 'proxy-authorization': `Basic ${Buffer.from(account).toString('base64')}` };
}

/** Whose certificate an https proxy shows (RFC 6066: addresses are not named). Node would take what stands in `host`. */
export function proxyServerName(proxy: URL): string {
  const name = proxy.hostname.replace(/^\[|\]$/g, '');
  return isIP(name) === 0 ? name : '';
}

/**
 * A connection to `host:port` through a proxy (RFC 9110, CONNECT).
 * @param timeout Milliseconds.
 * @param ca Of whom the certificate of an https proxy has to be.
 */
export async function tunnel(proxy: URL, target: string, timeout: number, ca: readonly string[]): Promise<Socket> {
  const { request } = proxy.protocol === 'https:' ? await import('node:https') : await import('node:http');
  return new Promise((resolve, reject) => {
    const asked = request({
      host: proxy.hostname.replace(/^\[|\]$/g, ''),
      port: proxy.port === '' ? (proxy.protocol === 'https:' ? 443 : 80) : proxy.port,
      method: 'CONNECT',
      path: target,
      headers: { host: target, ...proxyHeaders(proxy) },
      agent: false,
      timeout,
      ...(proxy.protocol === 'https:' ? { ca: [...ca], servername: proxyServerName(proxy) } : {}),
    });
    asked.on('timeout', () => asked.destroy(coded(NO_CONNECTION, `the proxy ${proxy.host} does not answer`)));
    asked.on('error', reject);
    asked.on('response', ({ statusCode = 0 }) => refuse(statusCode));
    asked.on('connect', ({ statusCode = 0 }, socket) => {
      socket.setTimeout(0);
      if (statusCode === 200) resolve(socket);
      else refuse(statusCode, socket);
    });
    asked.end();
    const refuse = (status: number, socket?: Socket): void => {
      reject(coded('ERR_PROXY', `the proxy ${proxy.host} answered status ${status}`));
      socket?.destroy();
      asked.destroy();
    };
  });
}
