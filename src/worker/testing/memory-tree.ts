/** File trees out of literals, for tests of rules. */
import { createHash } from 'node:crypto';
import type { ContentLocation, Digest, FileTree, NodeEntry, Tree, TreePath } from '../../contracts/index.ts';
import { compareTreePaths } from '../../store/index.ts';

type Meta = Partial<Pick<NodeEntry, 'mode' | 'uid' | 'gid' | 'mtime' | 'mtimeNsec' | 'xattrs'>>;

/** A node with its content; a string is a file's. */
export type Literal =
  string | (Meta & { type: NodeEntry['type']; content?: string; target?: string; hardlink?: string });

export const dir = (meta: Meta = {}): Literal => ({ type: 'directory', ...meta });
export const file = (content: string, meta: Meta = {}): Literal => ({ type: 'file', content, ...meta });
export const link = (target: string, meta: Meta = {}): Literal => ({ type: 'symlink', target, ...meta });
export const hard = (first: string, content: string, meta: Meta = {}): Literal => ({
  type: 'file',
  hardlink: first,
  content,
  ...meta,
});

export function digestOf(content: string | Uint8Array): Digest {
  return `sha256:${createHash('sha256').update(content).digest('hex')}`;
}

/** The time of what says none: a whole day of 2001. */
export const SOME_TIME = 1_000_000_000;

export interface MemoryTree extends FileTree {
  /** How often each question was asked. */
  readonly asked: { lookup: number; list: number; walk: number; digests: number };
  readonly content: ReadonlyMap<TreePath, string>;
}

/** Parents are made as they are needed, 0755 of root. */
export function memoryTree(literals: Record<string, Literal>): MemoryTree {
  const nodes = new Map<TreePath, NodeEntry>();
  const content = new Map<TreePath, string>();
  const meta = { uid: 0, gid: 0, mtime: SOME_TIME, mtimeNsec: 0 };
  const add = (path: TreePath, literal: Literal): void => {
    const slash = path.lastIndexOf('/');
    const parent = slash < 0 ? '' : path.slice(0, slash);
    if (path !== '' && !nodes.has(parent)) add(parent, dir());
    const given = typeof literal === 'string' ? file(literal) : literal;
    if (typeof given === 'string') return;
    const { type, content: text = '', target = '', hardlink, ...rest } = given;
    const common = { ...meta, ...rest };
    if (type === 'directory') nodes.set(path, { type, mode: 0o755, ...common });
    else if (type === 'symlink') nodes.set(path, { type, mode: 0o777, target, ...common });
    else if (type === 'file') {
      content.set(path, text);
      nodes.set(path, { type, mode: 0o644, size: Buffer.byteLength(text), hardlink, ...common });
    } else if (type === 'char-device' || type === 'block-device') {
      nodes.set(path, { type, mode: 0o600, major: 1, minor: 3, ...common });
    } else nodes.set(path, { type, mode: 0o600, ...common });
  };
  add('', dir());
  for (const [path, literal] of Object.entries(literals)) add(path, literal);
  const sorted = [...nodes].sort((a, b) => compareTreePaths(a[0], b[0]));
  const asked = { lookup: 0, list: 0, walk: 0, digests: 0 };
  return {
    asked,
    content,
    lookup: async (path) => {
      asked.lookup++;
      return nodes.get(path);
    },
    list: async (path) => {
      asked.list++;
      if (nodes.get(path)?.type !== 'directory') return undefined;
      const prefix = path === '' ? '' : `${path}/`;
      return sorted
        .map(([at]) => at)
        .filter((at) => at !== '' && at.startsWith(prefix) && !at.slice(prefix.length).includes('/'))
        .map((at) => at.slice(prefix.length));
    },
    walk: async (path) => {
      asked.walk++;
      const prefix = path === '' ? '' : `${path}/`;
      return sorted.filter(([at]) => at !== '' && at !== path && at.startsWith(prefix));
    },
    digests: async (paths) => {
      asked.digests++;
      return paths.map((path) => digestOf(content.get(path) ?? missing(path)));
    },
    locate: async (paths) =>
      Array.from(paths, (path): ContentLocation => ({
        kind: 'bytes',
        data: Buffer.from(content.get(path) ?? missing(path)),
      })),
  };
}

function missing(path: string): never {
  throw new Error(`no file ${path}`);
}

/** A tree as lines: `path type mode uid:gid rest`, so that a test shows all that is there. */
export function describeTree(tree: Tree | Iterable<readonly [TreePath, NodeEntry]>): string[] {
  return [...tree].map(([path, entry]) => {
    if (entry.type === 'whiteout') return `${path} whiteout`;
    const mode = entry.mode.toString(8).padStart(4, '0');
    const meta = `${mode} ${entry.uid}:${entry.gid}`;
    switch (entry.type) {
      case 'symlink':
        return `${path} -> ${entry.target} ${entry.uid}:${entry.gid}`;
      case 'file':
        return entry.hardlink === undefined ? `${path} file ${meta} ${entry.size}` : `${path} = ${entry.hardlink}`;
      case 'directory':
        return `${path}/ ${meta}${entry.opaque === true ? ' opaque' : ''}`;
      default:
        return `${path} ${entry.type} ${meta}`;
    }
  });
}
