import { BuildError } from '../contracts/index.ts';
import type { Digest, Layer, LayerId, Snapshot, WorkContext, Worker } from '../contracts/index.ts';
import type { Vertex } from '../llb/index.ts';
import { ContentListWriter } from '../store/index.ts';
import type { LayerRow } from '../store/index.ts';
import type { WorkerDeps } from './types.ts';
import type { Contents } from './ops/contents.ts';
import { createSelections } from './ops/selections.ts';

/**
 * Carries out vertices on this machine. What an op needs is loaded when the first such op comes: a build that finds
 * everything loads keys only.
 */
export function createWorker(deps: WorkerDeps): Worker {
  const { store, sources } = deps;
  const selections = createSelections();
  /** One for all ops: it bounds what they keep in memory together. */
  let contents: Contents | undefined;
  /** Layers that this process made: their bytes can still be had from where they came. */
  const live = new Map<LayerId, Layer>();

  /** Rows as they are in this turn of the event loop: a chain of stages, opened stage by stage, asks for them over and over. */
  const rows = new Map<LayerId, LayerRow>();
  const rowOf = (id: LayerId): LayerRow | undefined => {
    const known = rows.get(id);
    if (known !== undefined) return known;
    const row = store.layer(id);
    if (row === undefined) return undefined;
    if (rows.size === 0) setImmediate(() => rows.clear());
    rows.set(id, row);
    return row;
  };

  const remember = (snapshots: readonly Snapshot[]): readonly Snapshot[] => {
    for (const { layers } of snapshots) {
      // What one stands on is known when it is.
      for (let at = layers.length - 1; at >= 0; at--) {
        const layer = layers[at];
        if (layer === undefined || live.get(layer.id) === layer) break;
        live.set(layer.id, layer);
      }
    }
    return snapshots;
  };

  const carryOut = async (
    vertex: Vertex,
    inputs: readonly Snapshot[],
    context: WorkContext,
  ): Promise<readonly Snapshot[]> => {
    const { op } = vertex;
    const inputAt = (index: number): Snapshot | undefined => (index < 0 ? undefined : inputs[index]);
    switch (op.kind) {
      case 'source':
        return [await sources.snapshot(vertex, context)];
      case 'exec': {
        const { runExec } = await import('./ops/exec.ts');
        return runExec(vertex, inputs, context, deps);
      }
      case 'file': {
        const { runFileOp } = await import('./ops/file.ts');
        const { createContents } = await import('./ops/contents.ts');
        contents ??= createContents(store);
        return runFileOp(vertex, op.actions, inputs, context, { store, sources, selections, contents, now });
      }
      case 'merge': {
        const { mergeSnapshots } = await import('./ops/merge.ts');
        return [mergeSnapshots(op.inputs.map(inputAt))];
      }
      case 'diff': {
        const { diffSnapshots } = await import('./ops/merge.ts');
        return [await diffSnapshots(inputAt(op.lower), inputAt(op.upper), { store, sources })];
      }
      case 'build':
        throw new BuildError({
          code: 'unsupported',
          message: 'build ops (definitions inside a definition) are not carried out',
        });
    }
  };

  return {
    sourceKey: async (vertex, context) => sources.sourceKey(vertex, context),

    async contentKey(vertex, index, input, context) {
      const { contentKey } = await import('./ops/content-key.ts');
      return pointingTo(context, async () => {
        const list = deps.listsContent === true ? new ContentListWriter() : undefined;
        const done = { list: false };
        const make = (): Promise<Digest | undefined> => {
          done.list = true;
          return contentKey(vertex, index, input, selections, list);
        };
        const { knownContentKey } = await import('./ops/known-key.ts');
        const digest = await knownContentKey(vertex, index, input, store, make);
        if (digest !== undefined && list !== undefined && !store.hasContentList(digest)) {
          if (!done.list) await make();
          store.saveContentList(digest, list);
        }
        return digest;
      });
    },

    expect({ op }) {
      if (op.kind === 'exec') deps.executor.prestart?.();
    },

    async run(vertex, inputs, context) {
      return remember(await pointingTo(context, async () => carryOut(vertex, inputs, context)));
    },

    async open(ids) {
      const layers: Layer[] = [];
      let virtual = false;
      for (const id of ids) {
        const known = live.get(id);
        const row = rowOf(id);
        // A row with nothing in it was begun and never finished; a directory alone is that of a tree in an older form.
        if (row === undefined || (!row.hasTree && row.blobs.length === 0)) return undefined;
        if (known === undefined && !row.hasDir && !(row.blobs.length > 0 && (await sources.isReachable(row)))) {
          if (!row.hasTree) return undefined;
          virtual = true;
        }
        layers.push(known ?? sources.storeLayer(id));
      }
      const { snapshotOf } = await import('../image/index.ts');
      return { snapshot: snapshotOf(layers), virtual };
    },
  };
}

function now(): { readonly mtime: number; readonly mtimeNsec: number } {
  const milliseconds = Date.now();
  return { mtime: Math.floor(milliseconds / 1000), mtimeNsec: (milliseconds % 1000) * 1_000_000 };
}

/** Errors of an op point to its place in the Dockerfile. */
async function pointingTo<T>({ location }: WorkContext, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw error instanceof BuildError ? error.at(location) : error;
  }
}
