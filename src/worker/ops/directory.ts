/**
 * The directory of a layer, made when an exec op needs it: unpacked from its blob, or written from its tree. The executor
 * makes it, in its own namespace; here it is decided how, once, whoever else wants it.
 */
import { rmSync } from 'node:fs';
import { copyFile, writeFile } from 'node:fs/promises';
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, Executor, Layer, LayerId, TreePath } from '../../contracts/index.ts';
import { encodePathBytes } from '../../sys/path.ts';
import type { LayerDeps } from './file-layer.ts';

export interface DirectoryDeps extends LayerDeps {
  readonly executor: Executor;
}

/** Work in progress in this process, by store and layer. */
const making = new WeakMap<DirectoryDeps['store'], Map<string, Promise<void>>>();

/**
 * Resolves when `store.layerDir(layer.id)` is complete. Idempotent; one at a time for each layer, across processes.
 * Pulls the blob of a base image.
 *
 * @param beside Layers of the same root: what comes from their directories is copied, not linked.
 * Errors: those of pulling, and of the executor.
 */
export async function ensureDirectory(
  layer: Layer,
  deps: DirectoryDeps,
  signal: AbortSignal,
  beside: ReadonlySet<LayerId> = new Set(),
): Promise<void> {
  const { store } = deps;
  let inFlight = making.get(store);
  if (inFlight === undefined) making.set(store, (inFlight = new Map<string, Promise<void>>()));
  for (;;) {
    if (store.layer(layer.id)?.hasDir === true) return;
    const running = inFlight.get(layer.id);
    if (running === undefined) break;
    // A failure of who began it is its own: it may have been cancelled.
    await running.catch(() => undefined);
    signal.throwIfAborted();
  }
  const work = makeOnce(layer, deps, signal, beside).finally(() => inFlight.delete(layer.id));
  inFlight.set(layer.id, work);
  return work;
}

async function makeOnce(
  layer: Layer,
  deps: DirectoryDeps,
  signal: AbortSignal,
  beside: ReadonlySet<LayerId>,
): Promise<void> {
  const { store, executor } = deps;
  const lock = await store.lock(`directory-${layer.id}`, { signal, doing: `which unpacks layer ${layer.id}` });
  try {
    // Another process may have made it while we waited.
    if (store.layer(layer.id)?.hasDir === true) return;
    const blob = await layer.blob();
    if (blob !== undefined) {
      const { mediaType, digest } = blob;
      const request = { kind: 'blob', layer: layer.id, blobPath: store.blobPath(digest), mediaType } as const;
      await executor.materialize(request, { signal });
    } else await materializeTree(layer, deps, signal, beside);
    store.saveLayer(layer.id, { dir: true });
  } finally {
    lock.release();
  }
}

/** Writes the plan (contracts/executor.ts) that says where each file's bytes are, and has the executor follow it. */
async function materializeTree(
  layer: Layer,
  deps: DirectoryDeps,
  signal: AbortSignal,
  beside: ReadonlySet<LayerId>,
): Promise<void> {
  const { store, executor } = deps;
  const paths: TreePath[] = [];
  for (const [path, entry] of await layer.tree()) {
    if (entry.type === 'file' && entry.hardlink === undefined) paths.push(path);
  }
  const locations = Iterator.from(await layer.locate(paths));
  const planPath = store.tempPath('plan');
  const copies: string[] = [];
  const besideDirectories = [...beside].map((id) => `${store.layerDir(id)}/`);
  const mayLink = (path: string): boolean => !besideDirectories.some((directory) => path.startsWith(directory));
  try {
    const lines: Buffer[] = [];
    for (const path of paths) {
      const location = locations.next().value;
      if (location === undefined) throw new BuildError({ code: 'internal', message: `no bytes for /${path}` });
      const text = await planLocation(location, mayLink, async (from) => {
        const copy = store.tempPath('plan-file');
        copies.push(copy);
        await copyFile(from, copy);
        return copy;
      });
      lines.push(encodePathBytes(path), NUL, typeof text === 'string' ? Buffer.from(text) : text, NEWLINE);
    }
    await writeFile(planPath, Buffer.concat(lines), { mode: 0o600 });
    await executor.materialize({ kind: 'tree', layer: layer.id, planPath }, { signal });
  } finally {
    for (const path of [planPath, ...copies]) rmSync(path, { force: true });
  }
}

const NUL = Buffer.of(0);
const NEWLINE = Buffer.from('\n');

/** `f`, `o`, `c` or `b` and where. A line ends a location, so that a host path that holds one is copied first. */
async function planLocation(
  location: ContentLocation,
  mayLink: (path: string) => boolean,
  copy: (from: Buffer) => Promise<string>,
): Promise<string | Buffer> {
  if (location.kind === 'bytes') return `b${Buffer.from(location.data).toString('base64')}`;
  const path = encodePathBytes(location.path);
  if (path.includes(0x0a)) return `f${await copy(path)}`;
  const kind = location.kind === 'context-file' ? 'c' : mayLink(location.path) ? 'f' : 'o';
  return Buffer.concat([Buffer.from(kind), path]);
}
