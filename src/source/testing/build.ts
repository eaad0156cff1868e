/** For tests: the sources of one build over a real store, and vertices to ask them for. */
import { rmSync } from 'node:fs';
import type { BuildEvent, Digest, WorkContext } from '../../contracts/index.ts';
import { createRegistry } from '../../registry/index.ts';
import type { RegistryOptions } from '../../registry/index.ts';
import { openStore } from '../../store/index.ts';
import type { Store } from '../../store/index.ts';
import { createSources } from '../index.ts';
import type { Platform, SourceVertex, Sources, SourcesOptions } from '../index.ts';

export interface TestBuild {
  readonly store: Store;
  readonly sources: Sources;
  readonly events: BuildEvent[];
  readonly context: WorkContext;
  close(): Promise<void>;
}

/** A build of its own process, as it were: nothing is shared with others but the state directory. */
export async function startBuild(
  root: string,
  options: Partial<SourcesOptions> & { readonly network?: RegistryOptions } = {},
): Promise<TestBuild> {
  const store = await openStore({ root });
  const registry = createRegistry({ env: { HOME: root }, limits: { backoff: 1, retries: 1 }, ...options.network });
  const events: BuildEvent[] = [];
  const { signal } = new AbortController();
  const sources = createSources({
    store,
    registry,
    contexts: new Map(),
    events: (event) => events.push(event),
    signal,
    ...options,
  });
  return {
    store,
    sources,
    events,
    context: { signal, events: (event) => events.push(event), location: undefined },
    async close() {
      await sources.close();
      await registry.close();
      store.close();
    },
  };
}

export function remove(path: string): void {
  rmSync(path, { recursive: true, force: true });
}

/** Enough of a vertex for sources; its digest is made up. */
export function sourceVertex(
  identifier: string,
  attrs: Readonly<Record<string, string>> = {},
  platform?: Platform,
): SourceVertex {
  const digest: Digest = `sha256:${'e'.repeat(64)}`;
  return {
    digest,
    op: { kind: 'source', identifier, attrs },
    inputs: [],
    platform,
    bytes: new Uint8Array(0),
    metadata: {},
  };
}
