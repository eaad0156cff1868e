/** Finds the pods of a builder in a cluster, as buildx's Kubernetes driver labels them. */
import { execFile } from 'node:child_process';
import { builderError, lostDaemon } from '../errors.ts';
import { rankByKey } from '../routing.ts';
import { connectError } from './connect-error.ts';
import type { DialOptions } from './dial.ts';
import { kubeFlags, podProgram } from './endpoint.ts';
import type { Endpoint } from './endpoint.ts';

interface Pod {
  readonly metadata?: { readonly name?: string; readonly deletionTimestamp?: string };
  readonly status?: {
    readonly phase?: string;
    readonly conditions?: readonly { readonly type?: string; readonly status?: string }[];
  };
}

/** Milliseconds. */
const LIST_TIMEOUT = 20_000;
const LIST_MAX = 16 << 20;

/** @throws BuildError `builder` when none is ready */
export async function choosePod(
  { selector, options, what }: Extract<Endpoint, { kind: 'pods' }>,
  { env, signal, routeKey = '' }: DialOptions,
): Promise<Extract<Endpoint, { kind: 'program' }>> {
  const args = [...kubeFlags(options), 'get', 'pods', '--selector', selector, '--output', 'json'];
  const output = await new Promise<string>((resolve, reject) => {
    const settings = { env: { ...env }, signal, timeout: LIST_TIMEOUT, maxBuffer: LIST_MAX };
    execFile('kubectl', args, settings, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === 'ENOENT')
        reject(
          builderError(`${what} cannot be reached: there is no program kubectl`, {
            hint: 'install kubectl and point KUBECONFIG to the cluster',
            cause: error,
          }),
        );
      else
        reject(
          signal.aborted
            ? connectError(what, signal.reason)
            : builderError(`${what} cannot be listed`, { detail: stderr.trim().split('\n').slice(-5) }),
        );
    });
  });
  const pods = (JSON.parse(output) as { items?: readonly Pod[] }).items ?? [];
  const ready = pods.filter(isReady).flatMap(({ metadata }) => metadata?.name ?? []);
  const [chosen] = rankByKey(ready, routeKey);
  if (chosen !== undefined) return podProgram(chosen, options);
  throw lostDaemon(pods.length === 0 ? `there are no pods for ${what}` : `of ${pods.length} pods none is ready`, {
    hint: `see: kubectl get pods -l ${selector}`,
    detail: pods.map(({ metadata, status }) => `${metadata?.name ?? '?'}: ${status?.phase ?? 'unknown'}`),
  });
}

function isReady({ metadata, status }: Pod): boolean {
  const ready = status?.conditions?.some(({ type, status: value }) => type === 'Ready' && value === 'True') === true;
  return ready && metadata?.deletionTimestamp === undefined;
}
