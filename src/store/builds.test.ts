import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { Digest } from '../contracts/index.ts';
import { ContentListWriter, decodeContentList } from './content-list.ts';
import { openStore } from './open.ts';
import { MIGRATIONS } from './schema.ts';
import type { BuildRow, ContentListEntry, Store } from './types.ts';

const content = (n: number): Digest => `sha256:${n.toString(16).padStart(64, '0')}`;

function listOf(entries: readonly ContentListEntry[]): ContentListWriter {
  const list = new ContentListWriter();
  for (const entry of entries) list.add(entry);
  return list;
}

describe('a content list', () => {
  const entries: readonly ContentListEntry[] = [
    { path: '', type: 'directory', mode: 0o755, owner: '0:0' },
    { path: 'a b/ü', type: 'file', mode: 0o644, owner: '0:0', digest: '0123456789abcdef' },
    { path: 'not-utf8-\udcff', type: 'file', digest: 'fedcba9876543210' },
    { path: 'link', type: 'symlink', target: 'to "quotes"\n' },
    { path: 'dev', type: 'char-device', target: '1:3', xattrs: 'abc' },
  ];

  test('reads as it was written', () => {
    expect(decodeContentList(listOf(entries).encode())).toEqual(entries);
    expect(decodeContentList(listOf([]).encode())).toEqual([]);
  });

  test('is small: a few bytes for each of many like files', () => {
    const many = Array.from({ length: 10_000 }, (_, i): ContentListEntry => {
      const path = `packages/some-package-${i % 100}/src/some-module-${i}.ts`;
      return { path, type: 'file', mode: 0o644, owner: '0:0', digest: i.toString(16).padStart(16, '0') };
    });
    expect(listOf(many).encode().length).toBeLessThan(250_000);
  });

  test('of another version is none', () => {
    const bytes = Buffer.from(listOf(entries).encode());
    bytes.writeUInt32LE(9, 4);
    expect(decodeContentList(bytes)).toBeUndefined();
    expect(decodeContentList(new Uint8Array(3))).toBeUndefined();
  });
});

describe('build records', () => {
  let root: string;
  let store: Store;
  beforeEach(async () => {
    root = mkdtempSync(join(tmpdir(), 'slipway-builds-'));
    store = await openStore({ root });
  });
  afterEach(() => {
    store.close();
    rmSync(root, { recursive: true, force: true });
  });
  const reopen = async (): Promise<void> => {
    store.close();
    store = await openStore({ root });
  };
  const row = (n: number, more: Partial<BuildRow> = {}): BuildRow => ({
    id: `b${n}`,
    created: n,
    lineage: 'a',
    graph: undefined,
    summary: `s${n}`,
    data: `d${n}`,
    ...more,
  });
  const ids = (rows: readonly BuildRow[]) => rows.map(({ id }) => id);

  test('are listed newest first, by lineage, and before one of them', async () => {
    for (const n of [1, 3, 2]) store.saveBuild(row(n));
    store.saveBuild(row(4, { lineage: 'b' }));
    store.saveBuild(row(5, { created: 3 }));
    await reopen();
    expect(ids(store.builds())).toEqual(['b4', 'b5', 'b3', 'b2', 'b1']);
    expect(ids(store.builds({ lineage: 'a', limit: 2 }))).toEqual(['b5', 'b3']);
    expect(ids(store.builds({ lineage: 'a', before: 'b5' }))).toEqual(['b3', 'b2', 'b1']);
    expect(ids(store.builds({ lineage: 'a', before: 'b4' }))).toEqual(['b5', 'b3', 'b2', 'b1']);
    expect(store.builds()[0]).toMatchObject({ summary: 's4', data: '' });
    expect(store.build('b4')).toEqual(row(4, { lineage: 'b' }));
    expect(store.build('b9')).toBeUndefined();
  });

  test('are bounded: the oldest go, with graphs and lists that no other has', async () => {
    const graph = (id: string, contents: readonly Digest[]) => ({ id, data: Buffer.from(id), contents });
    store.saveContentList(content(1), listOf([{ path: 'old', type: 'directory' }]));
    store.saveContentList(content(2), listOf([{ path: 'shared', type: 'directory' }]));
    store.saveBuild(row(1, { graph: 'g1' }), graph('g1', [content(1), content(2)]));
    store.saveBuild(row(2, { graph: 'g2' }), graph('g2', [content(2)]));
    store.saveBuild(row(3, { graph: 'g2' }));
    await reopen();
    // Lists of a build that is running are not referred to yet: only old ones go.
    const db = new DatabaseSync(join(root, 'db.sqlite'));
    db.exec('UPDATE content_list SET created = 0');
    db.close();
    store.pruneBuilds(1);
    await reopen();
    expect(ids(store.builds())).toEqual(['b3']);
    expect([store.hasBuildGraph('g1'), store.hasBuildGraph('g2')]).toEqual([false, true]);
    expect(Buffer.from(store.readBuildGraph('g2') ?? []).toString()).toBe('g2');
    expect([store.hasContentList(content(1)), store.hasContentList(content(2))]).toEqual([false, true]);
    expect(store.readContentList(content(2))).toEqual([{ path: 'shared', type: 'directory' }]);
  });

  test('are kept to the newest 200 without anybody asking', async () => {
    for (let n = 1; n <= 230; n++) {
      store.saveBuild(row(n));
      if (n % 10 === 0) await reopen();
    }
    const kept = store.builds();
    expect(kept.length).toBeLessThanOrEqual(220);
    expect(kept[0]?.id).toBe('b230');
  });

  test('come to a state directory of an earlier version, which keeps what it has', async () => {
    store.close();
    rmSync(join(root, 'db.sqlite'));
    const db = new DatabaseSync(join(root, 'db.sqlite'));
    db.exec(`PRAGMA journal_mode=WAL; ${MIGRATIONS[0] ?? ''}; PRAGMA user_version=1`);
    db.prepare('INSERT INTO image VALUES (?, ?, ?, ?, ?)').run('x', content(7), 'm', 1, 'build');
    db.close();
    store = await openStore({ root });
    expect(MIGRATIONS.length).toBeGreaterThan(1);
    expect(store.images().map(({ name }) => name)).toEqual(['x']);
    store.saveBuild(row(1));
    await reopen();
    expect(ids(store.builds())).toEqual(['b1']);
  });
});
