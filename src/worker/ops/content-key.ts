/**
 * Content keys: the digest of all that a vertex can read from an input, so that an input rebuilt to the same bytes does
 * not spoil what reads it. What is in a key is said in docs/cache-keys.md; change both together, and `KEY_VERSION`.
 */
import { BuildError } from '../../contracts/index.ts';
import type { Digest, FileTree, NodeEntry, Snapshot, TreePath } from '../../contracts/index.ts';
import type { CopyAction, FileAction, Mount, Vertex } from '../../llb/index.ts';
import type { ContentListWriter } from '../../store/index.ts';
import { listEntry, listedDigest } from './content-list.ts';
import { ALL_FACTS, copyFacts, factsOfRow } from './facts.ts';
import type { Facts } from './facts.ts';
import { KeyWriter } from './key-writer.ts';
import type { CopySource } from './missing.ts';
import { GROUP, PASSWD } from './owner.ts';
import { baseName, cleanPath, resolvePath } from './path.ts';
import { linkGroup, selectWhole } from './select.ts';
import type { SelectedRow, SelectedSource, Selection, Whole } from './select.ts';
import type { Selections } from './selections.ts';

export const KEY_VERSION = 'slipway-content-1';

/** As `Worker.contentKey`. @param list Takes what is behind the key. */
export async function contentKey(
  vertex: Vertex,
  index: number,
  input: Snapshot,
  selections: Selections,
  list?: ContentListWriter,
): Promise<Digest | undefined> {
  const writer: Writers = { key: new KeyWriter(KEY_VERSION), list };
  switch (vertex.op.kind) {
    case 'file':
      return fileKey(writer, vertex, vertex.op.actions, index, input, selections);
    case 'exec':
      return execKey(writer, vertex, vertex.op.mounts, index, input);
    case 'source':
    case 'merge':
    case 'diff':
    case 'build':
      return undefined;
  }
}

interface Writers {
  readonly key: KeyWriter;
  readonly list: ContentListWriter | undefined;
  /** The row before, when what is said of it may hold for others, too: most files of a directory have one mode and owner. */
  last?: Last | undefined;
}

interface Last {
  readonly row: SelectedRow;
  readonly facts: Facts;
  /** From the type to the attributes. */
  readonly bytes: Uint8Array;
}

/** Nothing is to be said of it but type, mode, owner and content. */
function isPlain(entry: NodeEntry): boolean {
  const { type, xattrs } = entry;
  return xattrs === undefined && (type === 'directory' || (type === 'file' && entry.hardlink === undefined));
}

function isLike({ row, facts }: Last, other: SelectedRow, otherFacts: Facts): boolean {
  const [a, b] = [row.entry, other.entry];
  return (
    a.type === b.type &&
    a.mode === b.mode &&
    a.uid === b.uid &&
    a.gid === b.gid &&
    row.held === other.held &&
    facts === otherFacts &&
    isPlain(b)
  );
}

async function fileKey(
  writers: Writers,
  vertex: Vertex,
  actions: readonly FileAction[],
  index: number,
  input: Snapshot,
  selections: Selections,
): Promise<Digest | undefined> {
  // What is written to counts as a whole: it is part of the result.
  if (actions.some((action) => action.input === index)) return undefined;
  const { key } = writers;
  for (const [at, { secondaryInput, action }] of actions.entries()) {
    if (action.kind === 'copy' && secondaryInput === index) {
      const source = { tree: input.files, snapshot: input, vertex: vertex.inputs[index]?.vertex };
      const selection = await selections.select(vertex, at, source, action);
      key.text('copy');
      key.number(at);
      await writeSelection(writers, selection, action);
    }
    if (action.kind === 'rm') continue;
    if (readsNames(action.owner?.user, index)) await writeContent(writers, input.files, PASSWD);
    if (readsNames(action.owner?.group, index)) await writeContent(writers, input.files, GROUP);
  }
  return key.digest();
}

export function readsNames(
  ref: { readonly kind: string; readonly input?: number | undefined } | undefined,
  index: number,
): boolean {
  return ref?.kind === 'name' && ref.input === index;
}

/** A file that is read whole, wherever its links lead. */
async function writeContent({ key, list }: Writers, tree: FileTree, path: string): Promise<void> {
  const found = await resolvePath(tree, path);
  key.text(path);
  if (found.entry?.type !== 'file') {
    key.text('absent');
    return;
  }
  const [digest] = await tree.digests([found.path]);
  key.text(digest ?? 'absent');
  list?.add({ path: found.path, type: 'file', digest: listedDigest(digest) });
}

async function writeSelection(writers: Writers, selection: Selection, action: CopyAction): Promise<void> {
  const digests = await selection.digests();
  const facts = copyFacts(action);
  writers.key.number(selection.sources.length);
  for (const source of selection.sources) writeSource(writers, source, action.dirCopyContents, facts, digests);
}

function writeSource(
  writers: Writers,
  { named, top, rows, count, linked }: SelectedSource,
  contentsOnly: boolean,
  facts: Facts,
  digests: ReadonlyMap<TreePath, Digest>,
): void {
  const links: Links = { first: new Map<TreePath, string>(), groups: linked };
  if (top.entry.type === 'directory' && contentsOnly) writers.key.text('contents');
  else {
    writers.key.text('named');
    writers.key.text(baseName(named));
    writeRow(writers, top, facts, digests, links);
  }
  writers.key.number(count);
  for (const row of rows) writeRow(writers, row, facts, digests, links);
}

/** Files with several names: the groups, and the name under which each was first written. */
interface Links {
  readonly groups: ReadonlySet<TreePath>;
  readonly first: Map<TreePath, string>;
}

function writeRow(
  writers: Writers,
  row: SelectedRow,
  facts: Facts,
  digests: ReadonlyMap<TreePath, Digest>,
  links: Links,
): void {
  const { key: writer, list } = writers;
  const { name, path, entry } = row;
  writer.text(name);
  const { last } = writers;
  if (last !== undefined && isLike(last, row, facts)) {
    writer.again(last.bytes);
    list?.addLike(path, listedDigest(entry.type === 'file' ? digestOfRow(row, digests) : undefined));
  } else {
    const bytes = writer.captured(() => {
      writer.text(row.held ? 'held' : entry.type);
      writeMeta(writer, entry, factsOfRow(row, facts));
    });
    list?.add(listEntry(row, facts, digests));
    writers.last = isPlain(entry) ? { row, facts, bytes } : undefined;
  }
  switch (entry.type) {
    case 'file': {
      const group = linkGroup(path, entry);
      if (links.groups.has(group)) {
        const first = links.first.get(group);
        if (first !== undefined) {
          writer.text('link');
          writer.text(first);
          return;
        }
        links.first.set(group, name);
      }
      writer.text(digestOfRow(row, digests));
      return;
    }
    case 'symlink':
      writer.text(entry.target);
      return;
    case 'char-device':
    case 'block-device':
      writer.number(entry.major);
      writer.number(entry.minor);
      return;
    case 'directory':
    case 'fifo':
    case 'socket':
      return;
  }
}

function digestOfRow({ path, entry }: SelectedRow, digests: ReadonlyMap<TreePath, Digest>): Digest {
  const digest = (entry.type === 'file' ? entry.digest : undefined) ?? digests.get(path);
  // A key without it would fit any content.
  if (digest === undefined) throw new BuildError({ code: 'internal', message: `nobody knows the digest of /${path}` });
  return digest;
}

function writeMeta(writer: KeyWriter, entry: NodeEntry, facts: Facts): void {
  if (entry.type !== 'symlink' && !facts.modeFixed) {
    writer.number(facts.mode === undefined ? entry.mode : facts.mode(entry.mode, entry.type === 'directory'));
  }
  if (facts.owner) {
    writer.number(entry.uid);
    writer.number(entry.gid);
  }
  writer.number(entry.xattrs?.size ?? 0);
  for (const [name, value] of entry.xattrs ?? []) {
    writer.text(name);
    writer.bytes(value);
  }
}

/**
 * Mounts of an input: undefined when one of them may be changed into an output, as the root is; else the content below
 * the selectors (solver/llbsolver/ops/exec.go; `MountContentCache`).
 */
async function execKey(
  writers: Writers,
  vertex: Vertex,
  all: readonly Mount[],
  index: number,
  input: Snapshot,
): Promise<Digest | undefined> {
  const mounts = contentMounts(all, index);
  if (mounts === undefined) return undefined;
  const source = { tree: input.files, snapshot: input, vertex: vertex.inputs[index]?.vertex };
  const { key } = writers;
  for (const [at, mount] of all.entries()) {
    if (!mounts.includes(mount)) continue;
    key.text('mount');
    key.number(at);
    const { rows, count, linked, digests } = await selectMounted(source, mount.selector ?? '/');
    const links: Links = { first: new Map<TreePath, string>(), groups: linked };
    key.number(count);
    for (const row of rows) writeRow(writers, row, ALL_FACTS, digests, links);
  }
  return key.digest();
}

/** The mounts of an input that counts by content; undefined when it counts as a whole. */
export function contentMounts(all: readonly Mount[], index: number): readonly Mount[] | undefined {
  const mounts = all.filter((mount) => mount.input === index && reads(mount));
  return mounts.length === 0 || mounts.some((mount) => !cachesContent(mount)) ? undefined : mounts;
}

function reads(mount: Mount): boolean {
  return mount.type.kind === 'bind' || mount.type.kind === 'cache';
}

function cachesContent(mount: Mount): boolean {
  const whole = cleanPath(mount.selector ?? '/') === '/';
  const safe = mount.dest !== '/' && (mount.output === -1 || mount.readonly || whole);
  switch (mount.contentCache ?? 'default') {
    case 'off':
      return false;
    case 'on':
      if (!safe) {
        const message = `the mount at ${mount.dest} is written to: it cannot be cached by content`;
        throw new BuildError({ code: 'unsupported', message });
      }
      return true;
    case 'default':
      return safe;
  }
}

/** Everything below the selector, named from there: where in the input it lies does not matter to the step. */
async function selectMounted(source: CopySource, selector: string): Promise<Whole> {
  const { path, entry } = await resolvePath(source.tree, selector);
  if (entry !== undefined) return selectWhole(source.tree, path, entry);
  const { sourceMissing } = await import('./missing.ts');
  throw await sourceMissing(source, cleanPath(selector), path);
}
