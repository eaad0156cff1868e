/** A store and small results to export, for the tests of this room. */
import { createHash } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type {
  ContentLocation,
  Digest,
  ExportContext,
  ExportInput,
  FileEntry,
  Layer,
  Tree,
  TreeEntry,
  TreePath,
} from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import { compareTreePaths, openStore } from '../../store/index.ts';
import type { Store } from '../../store/index.ts';

export const META = { mode: 0o644, uid: 0, gid: 0, mtime: 1_700_000_000, mtimeNsec: 0 };

export interface Fixture {
  readonly dir: string;
  readonly store: Store;
  /** A layer of ours; strings are the content of files. */
  layer(entries: Readonly<Record<string, TreeEntry | string>>): Layer;
  input(layers: readonly Layer[], more?: Partial<ExportInput>): ExportInput;
  readonly context: ExportContext & { readonly names: string[] };
  close(): void;
}

export async function openFixture(): Promise<Fixture> {
  const dir = mkdtempSync(join(tmpdir(), 'slipway-export-'));
  const store = await openStore({ root: join(dir, 'store') });
  const names: string[] = [];
  return {
    dir,
    store,
    layer: (entries) => testLayer(store, entries),
    input: (layers, more) => ({
      snapshot: snapshotOf(layers),
      config: { architecture: 'amd64', os: 'linux', config: { Env: ['PATH=/bin'] } },
      platform: { os: 'linux', architecture: 'amd64' },
      ...more,
    }),
    context: {
      signal: new AbortController().signal,
      events: (event) => {
        if (event.type === 'status' && event.completed !== undefined) names.push(event.name);
      },
      names,
    },
    close() {
      store.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

export function sha256(data: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(data).digest('hex')}`;
}

function testLayer(store: Store, entries: Readonly<Record<string, TreeEntry | string>>): Layer {
  const bytes = new Map<TreePath, Buffer>();
  const tree: Tree = new Map(
    Object.entries(entries)
      .sort(([a], [b]) => compareTreePaths(a, b))
      .map(([path, entry]): [TreePath, TreeEntry] => {
        if (typeof entry !== 'string') return [path, entry];
        const data = Buffer.from(entry);
        bytes.set(path, data);
        const file: FileEntry = { type: 'file', ...META, size: data.length, digest: sha256(data) };
        return [path, file];
      }),
  );
  return {
    id: store.newLayer(),
    tree: async () => tree,
    digests: async (paths) => paths.map((path) => sha256(bytes.get(path) ?? '')),
    locate: async (paths) =>
      Array.from(paths, (path): ContentLocation => ({ kind: 'bytes', data: bytes.get(path) ?? Buffer.alloc(0) })),
    blob: async () => undefined,
  };
}
