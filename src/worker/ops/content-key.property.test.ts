import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import type { Digest, Snapshot } from '../../contracts/index.ts';
import { vertex } from '../../llb/index.ts';
import type { CopyAction, FileAction, Op, Vertex } from '../../llb/index.ts';
import { ContentListWriter } from '../../store/index.ts';
import { copyAction } from '../testing/actions.ts';
import { dir, file, link, memoryTree } from '../testing/memory-tree.ts';
import type { Literal } from '../testing/memory-tree.ts';
import { contentKey } from './content-key.ts';
import { createSelections } from './selections.ts';

/** One path below the copied directory, or beside it. */
interface Item {
  readonly kind: 'file' | 'link' | 'dir';
  readonly text: string;
  readonly mode: number;
  readonly uid: number;
  readonly mtime: number;
}

const names = fc.constantFrom('a', 'b', 'c', 'a b', 'ü', '\udc80');
const item: fc.Arbitrary<Item> = fc.record({
  kind: fc.constantFrom('file', 'file', 'link', 'dir'),
  text: fc.constantFrom('1', '2', '3'),
  mode: fc.constantFrom(0o644, 0o755, 0o600),
  uid: fc.nat(2),
  mtime: fc.nat(1000),
});
const trees = fc.dictionary(names, item, { minKeys: 1, noNullPrototype: true });

function literal({ kind, text, mode, uid, mtime }: Item): Literal {
  if (kind === 'link') return link(text);
  return kind === 'dir' ? dir({ mode, uid, mtime }) : file(text, { mode, uid, mtime });
}

type Items = Readonly<Record<string, Item>>;

function snapshot(items: Items, parent = 'src'): Snapshot {
  const literals = Object.fromEntries(
    Object.entries(items).map(([name, each]) => [`${parent}/${name}`, literal(each)]),
  );
  return { layers: [], files: memoryTree(literals), inPlace: false };
}

function copyOf(action: CopyAction): Vertex {
  const source = vertex({ kind: 'source', identifier: 'docker-image://docker.io/library/x:latest', attrs: {} }, []);
  const actions: FileAction[] = [{ input: 0, secondaryInput: 1, output: 0, action }];
  const op: Op = { kind: 'file', actions };
  return vertex(
    op,
    [0, 1].map((index) => ({ vertex: source, index })),
  );
}

async function keyOf(action: CopyAction, input: Snapshot): Promise<Digest | undefined> {
  return contentKey(copyOf(action), 1, input, createSelections());
}

const plain = copyAction('src', '/o/');
const chmod = copyAction('src', '/o/', { mode: 0o644 });
const chown = copyAction('src', '/o/', { owner: { user: { kind: 'id', id: 7 }, group: { kind: 'id', id: 7 } } });

/** What of an item a copy brings along, as its flags have it. */
function meaning(each: Item, action: CopyAction): string {
  const { kind, text, mode, uid } = each;
  return JSON.stringify([
    kind,
    kind === 'dir' ? '' : text,
    kind === 'link' || action === chmod ? 0 : mode,
    // Links of these trees are root's.
    kind === 'link' || action === chown ? 0 : uid,
  ]);
}

function meanings(items: Items, action: CopyAction): string {
  const sorted = Object.entries(items).sort(([a], [b]) => (a < b ? -1 : 1));
  return JSON.stringify(sorted.map(([name, each]) => [name, meaning(each, action)]));
}

describe.each([
  ['COPY', plain],
  ['COPY --chmod', chmod],
  ['COPY --chown', chown],
])('the key of %s', (_, action) => {
  test('is the same for two trees just when what is copied is', async () => {
    await fc.assert(
      fc.asyncProperty(trees, trees, async (a, b) => {
        const [one, other] = [await keyOf(action, snapshot(a)), await keyOf(action, snapshot(b))];
        expect(one === other).toBe(meanings(a, action) === meanings(b, action));
      }),
      { numRuns: 400 },
    );
  });

  test('changes with any one change that counts, with no other', async () => {
    const changes = fc.record({
      name: names,
      field: fc.constantFrom('kind', 'text', 'mode', 'uid', 'mtime'),
      by: item,
    });
    await fc.assert(
      fc.asyncProperty(trees, changes, async (before, { name, field, by }) => {
        const old = before[name];
        const after = { ...before, [name]: old === undefined ? by : { ...old, [field]: by[field] } };
        const [one, other] = [await keyOf(action, snapshot(before)), await keyOf(action, snapshot(after))];
        expect(one === other).toBe(meanings(before, action) === meanings(after, action));
      }),
      { numRuns: 400 },
    );
  });

  test('knows neither the order in which files were made nor where they lie', async () => {
    await fc.assert(
      fc.asyncProperty(trees, async (items) => {
        const key = await keyOf(action, snapshot(items));
        const reversed = Object.fromEntries(Object.entries(items).reverse());
        expect(await keyOf(action, snapshot(reversed))).toBe(key);
        const elsewhere = { ...action, src: copyAction('deep/down/below', '/o/').src };
        expect(await keyOf(elsewhere, snapshot(items, 'deep/down/below'))).toBe(key);
      }),
      { numRuns: 100 },
    );
  });

  test('differs just when the lists of what is behind it do', async () => {
    await fc.assert(
      fc.asyncProperty(trees, trees, async (a, b) => {
        const list = async (items: Items): Promise<string> => {
          const writer = new ContentListWriter();
          await contentKey(copyOf(action), 1, snapshot(items), createSelections(), writer);
          return Buffer.from(writer.encode()).toString('hex');
        };
        const keys = [await keyOf(action, snapshot(a)), await keyOf(action, snapshot(b))];
        expect((await list(a)) === (await list(b))).toBe(keys[0] === keys[1]);
      }),
      { numRuns: 200 },
    );
  });
});
