/** What `docker buildx` remembers of a builder (store/nodegroup.go), as a builder of ours. */
import type { Builder, BuilderNode } from './types.ts';

interface NodeGroup {
  readonly Name?: string;
  readonly Driver?: string;
  readonly Nodes?: readonly Node[];
}
interface Node {
  readonly Name?: string;
  readonly Endpoint?: string;
  readonly Platforms?:
    readonly { readonly os?: string; readonly architecture?: string; readonly variant?: string }[] | null;
  readonly DriverOpts?: Readonly<Record<string, string>> | null;
}

/** Undefined for drivers that have no daemon that we could reach. Throws for a text that is no JSON. */
export function buildxBuilder(text: string): Builder | undefined {
  const group = JSON.parse(text) as NodeGroup;
  const { Name: name, Driver: driver } = group;
  if (name === undefined) return undefined;
  const nodes = (group.Nodes ?? []).flatMap((node): BuilderNode[] => {
    const url = urlOf(driver ?? '', node);
    return url === undefined
      ? []
      : [{ name: node.Name ?? name, url, platforms: (node.Platforms ?? []).map(platformOf) }];
  });
  return nodes.length === 0 ? undefined : { name, from: 'buildx', nodes };
}

function urlOf(driver: string, { Name: name = '', Endpoint: endpoint = '', DriverOpts }: Node): string | undefined {
  const options = DriverOpts ?? {};
  switch (driver) {
    case 'docker':
      return endpoint.includes('://') ? `docker://${endpoint}` : 'docker://';
    case 'docker-container': {
      // A context of the docker command, or the address of a daemon.
      const query = endpoint.includes('://') ? { host: endpoint } : { context: endpoint === 'default' ? '' : endpoint };
      return withQuery(`docker-container://buildx_buildkit_${name}`, query);
    }
    case 'remote':
      return withQuery(endpoint, {
        ca: options['cacert'],
        cert: options['cert'],
        key: options['key'],
        servername: options['servername'],
      });
    case 'kubernetes': {
      const url = endpoint.startsWith('kubernetes://')
        ? new URL(endpoint.replace(/^kubernetes:/, 'http:').replace('///', '//x/'))
        : undefined;
      const deployment = url?.searchParams.get('deployment') || name;
      return withQuery('kube-pod://', {
        selector: `app=${deployment}`,
        namespace: options['namespace'],
        kubeconfig: url?.searchParams.get('kubeconfig') ?? undefined,
        context: url === undefined && endpoint !== '' ? endpoint : undefined,
      });
    }
    default:
      return undefined;
  }
}

function withQuery(url: string, parameters: Readonly<Record<string, string | undefined>>): string {
  const query = new URLSearchParams();
  for (const [key, value] of Object.entries(parameters)) if (value !== undefined && value !== '') query.set(key, value);
  const text = query.toString();
  return text === '' ? url : `${url}${url.includes('?') ? '&' : '?'}${text}`;
}

function platformOf({ os = '', architecture = '', variant = '' }: NonNullable<Node['Platforms']>[number]): string {
  return [os, architecture, ...(variant === '' ? [] : [variant])].join('/');
}
