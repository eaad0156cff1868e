/** Where a BuildKit daemon is, as a URL says it. */
import { BuildError } from '../../contracts/index.ts';

/** Files for TLS; paths. */
export interface TlsFiles {
  readonly ca?: string | undefined;
  readonly cert?: string | undefined;
  readonly key?: string | undefined;
  /** Name that the certificate must be for, where it is not the host's. */
  readonly serverName?: string | undefined;
}

export type Endpoint =
  | { readonly kind: 'unix'; readonly path: string }
  | { readonly kind: 'tcp'; readonly host: string; readonly port: number; readonly tls: TlsFiles | undefined }
  /** The BuildKit inside dockerd; `host` as DOCKER_HOST is written (unix, tcp, ssh). */
  | { readonly kind: 'docker'; readonly host: string; readonly tls: TlsFiles | undefined }
  /** A program whose standard input and output are the connection: `buildctl dial-stdio` somewhere. */
  | { readonly kind: 'program'; readonly command: string; readonly args: readonly string[]; readonly what: string }
  /** One of the pods that a selector finds, which is only known when it is looked for. */
  | { readonly kind: 'pods'; readonly selector: string; readonly options: KubeOptions; readonly what: string };

export interface KubeOptions {
  readonly context?: string | undefined;
  readonly kubeconfig?: string | undefined;
  readonly namespace?: string | undefined;
  readonly container?: string | undefined;
}

export type Environment = Readonly<Record<string, string | undefined>>;

/** BuildKit's own default. */
export const DEFAULT_SOCKET = '/run/buildkit/buildkitd.sock';
const DOCKER_SOCKET = '/var/run/docker.sock';
const SCHEMES =
  'unix://, tcp://, docker://, docker-container://NAME, podman-container://NAME, kube-pod://POD, ssh://[USER@]HOST';

/**
 * `unix:///run/buildkit/buildkitd.sock`, `tcp://host:port?ca=..&cert=..&key=..`, `docker://` (DOCKER_HOST's dockerd, or
 * `docker://unix:///path`, `docker://tcp://host:port`), `docker-container://NAME`, `podman-container://NAME`,
 * `kube-pod://POD?namespace=..&container=..&context=..`, `ssh://user@host[:port][/socket]`.
 *
 * @throws BuildError `usage`
 */
export function parseEndpoint(url: string, env: Environment): Endpoint {
  const [, scheme, rest = ''] = /^([a-z-]+):\/\/(.*)$/s.exec(url) ?? [];
  switch (scheme) {
    case 'unix': {
      const path = rest === '' ? DEFAULT_SOCKET : rest;
      if (!path.startsWith('/')) throw usage(url, 'its path is not absolute', 'write it as unix:///path/to/socket');
      return { kind: 'unix', path };
    }
    case 'tcp':
      return tcp(url, env);
    case 'docker':
      return docker(url, rest, env);
    case 'docker-container':
    case 'podman-container':
      return container(url, scheme === 'docker-container' ? 'docker' : 'podman', rest);
    case 'kube-pod':
      return pod(url);
    case 'ssh':
      return ssh(url);
    default:
      throw usage(url, 'has no scheme that is known', `schemes are ${SCHEMES}`);
  }
}

/** For messages: without file names of keys. */
export function endpointText(endpoint: Endpoint): string {
  switch (endpoint.kind) {
    case 'unix':
      return `unix://${endpoint.path}`;
    case 'tcp':
      return `tcp://${endpoint.host}:${endpoint.port}`;
    case 'docker':
      return `the Docker daemon at ${endpoint.host}`;
    case 'program':
    case 'pods':
      return endpoint.what;
  }
}

function tcp(text: string, env: Environment): Endpoint {
  const url = parseUrl(text);
  const port = Number(url.port || '1234');
  if (url.hostname === '') throw usage(text, 'names no host', 'write it as tcp://host:1234');
  const query = url.searchParams;
  const directory = query.get('tls-dir') ?? env['BUILDKIT_TLS_DIR'];
  const inDirectory = (name: string): string | undefined =>
    directory === undefined || directory === '' ? undefined : `${directory}/${name}`;
  const tls: TlsFiles = {
    ca: query.get('ca') ?? query.get('cacert') ?? inDirectory('ca.pem'),
    cert: query.get('cert') ?? inDirectory('cert.pem'),
    key: query.get('key') ?? inDirectory('key.pem'),
    serverName: query.get('servername') ?? undefined,
  };
  const any = Object.values(tls).some((value) => value !== undefined) || query.get('tls') === 'true';
  return { kind: 'tcp', host: url.hostname.replace(/^\[(.*)\]$/, '$1'), port, tls: any ? tls : undefined };
}

function docker(text: string, rest: string, env: Environment): Endpoint {
  const host = rest !== '' ? rest : env['DOCKER_HOST'] || `unix://${DOCKER_SOCKET}`;
  if (!/^(?:unix|tcp|ssh|https?):\/\//.test(host)) {
    throw usage(
      text,
      `names no Docker daemon: "${host}"`,
      'write it as docker:// or docker://unix:///var/run/docker.sock',
    );
  }
  const directory = env['DOCKER_CERT_PATH'];
  const wantsTls = host.startsWith('https://') || (host.startsWith('tcp://') && Boolean(env['DOCKER_TLS_VERIFY']));
  const tls =
    !wantsTls || directory === undefined || directory === ''
      ? wantsTls
        ? {}
        : undefined
      : { ca: `${directory}/ca.pem`, cert: `${directory}/cert.pem`, key: `${directory}/key.pem` };
  return { kind: 'docker', host, tls };
}

/** Names of containers and pods end up in an argument list: what starts with a dash would be a flag. */
const NAME = /^[a-zA-Z0-9][a-zA-Z0-9_.-]*$/;

function container(text: string, command: 'docker' | 'podman', rest: string): Endpoint {
  const { searchParams } = parseUrl(text);
  const name = rest.replace(/\?.*$/s, '').replace(/\/+$/, '');
  if (!NAME.test(name)) throw usage(text, 'names no container', `write it as ${command}-container://NAME`);
  const context = optionOf(text, searchParams, 'context');
  const host = optionOf(text, searchParams, 'host');
  const contextFlag = command === 'docker' ? '--context' : '--connection';
  const hostFlag = command === 'docker' ? '--host' : '--url';
  return {
    kind: 'program',
    command,
    args: [
      ...(context === undefined ? [] : [contextFlag, context]),
      ...(host === undefined ? [] : [hostFlag, host]),
      'exec',
      '-i',
      name,
      'buildctl',
      'dial-stdio',
    ],
    what: `the container ${name} (${command})`,
  };
}

function pod(text: string): Endpoint {
  const { searchParams } = parseUrl(text.replace('://?', '://x?'));
  const options: KubeOptions = {
    context: optionOf(text, searchParams, 'context'),
    kubeconfig: optionOf(text, searchParams, 'kubeconfig'),
    namespace: optionOf(text, searchParams, 'namespace'),
    container: optionOf(text, searchParams, 'container'),
  };
  const selector = optionOf(text, searchParams, 'selector');
  const inNamespace = options.namespace === undefined ? '' : ` in ${options.namespace}`;
  if (selector !== undefined) return { kind: 'pods', selector, options, what: `the pods ${selector}${inNamespace}` };
  const name = /^kube-pod:\/\/([^/?]*)/.exec(text)?.[1] ?? '';
  if (!NAME.test(name)) throw usage(text, 'names no pod', 'write it as kube-pod://POD?namespace=NAMESPACE');
  return podProgram(name, options);
}

/** `buildctl dial-stdio` in a pod. */
export function podProgram(name: string, options: KubeOptions): Extract<Endpoint, { kind: 'program' }> {
  const { container, namespace } = options;
  return {
    kind: 'program',
    command: 'kubectl',
    args: [
      ...kubeFlags(options),
      'exec',
      '-i',
      ...(container === undefined ? [] : ['-c', container]),
      name,
      '--',
      'buildctl',
      'dial-stdio',
    ],
    what: `the pod ${name}${namespace === undefined ? '' : ` in ${namespace}`}`,
  };
}

export function kubeFlags({ context, kubeconfig, namespace }: KubeOptions): readonly string[] {
  return [
    ...(kubeconfig === undefined ? [] : ['--kubeconfig', kubeconfig]),
    ...(context === undefined ? [] : ['--context', context]),
    ...(namespace === undefined ? [] : ['--namespace', namespace]),
  ];
}

function optionOf(text: string, query: URLSearchParams, key: string): string | undefined {
  const value = query.get(key);
  if (value === null) return undefined;
  if (value === '' || value.startsWith('-')) throw usage(text, `has no usable ${key}`, `write it as ${key}=VALUE`);
  return value;
}

function ssh(text: string): Endpoint {
  const url = parseUrl(text.replace(/^ssh:/, 'http:'));
  const user = decodeURIComponent(url.username);
  const host = url.hostname.replace(/^\[(.*)\]$/, '$1');
  if (host === '' || host.startsWith('-') || user.startsWith('-') || url.password !== '') {
    throw usage(text, 'names no host', 'write it as ssh://user@host');
  }
  const socket = url.pathname.replace(/\/+$/, '');
  return {
    kind: 'program',
    command: 'ssh',
    args: [
      ...sshArguments(user, url.port),
      '--',
      host,
      'buildctl',
      ...(socket === '' ? [] : ['--addr', shellWord(`unix://${socket}`)]),
      'dial-stdio',
    ],
    what: `ssh://${host}`,
  };
}

/** Never asks: nobody is there to answer. */
export function sshArguments(user: string, port: string): readonly string[] {
  return [
    ...(user === '' ? [] : ['-l', user]),
    ...(port === '' ? [] : ['-p', port]),
    '-o',
    'ConnectTimeout=30',
    '-o',
    'BatchMode=yes',
    '-T',
  ];
}

/** ssh hands its words to a shell on the other side. */
function shellWord(word: string): string {
  return `'${word.replaceAll("'", `'\\''`)}'`;
}

function parseUrl(text: string): URL {
  const url = text.replace(/^[a-z-]+:/, 'http:');
  if (!URL.canParse(url)) throw usage(text, 'is no URL', `schemes are ${SCHEMES}`);
  return new URL(url);
}

function usage(text: string, what: string, hint: string): BuildError {
  return new BuildError({ code: 'usage', message: `the builder ${JSON.stringify(text)} ${what}`, hint });
}
