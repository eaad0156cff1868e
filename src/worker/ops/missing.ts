/** The error of a COPY source that is not there: what excluded it, or what is there under a near name. */
import { distance } from 'fastest-levenshtein';
import { BuildError } from '../../contracts/index.ts';
import type { FileTree, Snapshot, TreePath } from '../../contracts/index.ts';
import type { Vertex } from '../../llb/index.ts';
import { isContextSnapshot } from '../../source/index.ts';
import type { Missing } from '../../source/index.ts';
import { joinPath, parentPath, treePath } from './path.ts';

/** Edits up to which another name counts as a slip of this one. */
const MAX_EDITS = 2;
/** As many names as an error suggests. */
const MAX_SUGGESTIONS = 3;

/** Where a copy reads from, in words. */
export interface CopySource {
  readonly tree: FileTree;
  /** Undefined for the result of an earlier action. */
  readonly snapshot: Snapshot | undefined;
  readonly vertex: Vertex | undefined;
}

/**
 * @param path As the op has it, absolute.
 * @param at Where its links led, in tree form.
 */
export async function sourceMissing(source: CopySource, path: string, at: TreePath): Promise<BuildError> {
  const { snapshot } = source;
  if (snapshot !== undefined && isContextSnapshot(snapshot)) {
    const shown = treePath(path);
    const reason = await snapshot.files.explain(at);
    return new BuildError({
      code: 'source-missing',
      message: `${JSON.stringify(shown)} is not in the build context`,
      hint: contextHint(reason, shown, snapshot.files.directory),
    });
  }
  const near = await nearNames(source.tree, at);
  return new BuildError({
    code: 'source-missing',
    message: `${JSON.stringify(path)} is not in ${describe(source)}`,
    hint: near.length === 0 ? undefined : `There is ${list(near.map((name) => `/${name}`))}.`,
  });
}

function contextHint(reason: Missing, shown: string, directory: string): string {
  switch (reason.kind) {
    case 'excluded': {
      const file = reason.file?.filename ?? '.dockerignore';
      const line = reason.line === undefined ? '' : ` line ${reason.line}`;
      return `${file}${line} excludes it: ${reason.pattern}. Add "!${shown}" below that line to have it in the context.`;
    }
    case 'similar':
      return `There is ${list(reason.paths)}.`;
    case 'absent':
      return `The build context is ${directory}; paths of sources are relative to it.`;
  }
}

function list(names: readonly string[]): string {
  return names.map((name) => JSON.stringify(name)).join(', ');
}

function describe({ vertex }: CopySource): string {
  if (vertex?.op.kind === 'source') return vertex.op.identifier.replace(/^[a-z-]+:\/\//, '');
  const name = vertex?.metadata.name;
  if (name === undefined) return 'the source';
  const stage = /^\[(?:.* )?(\S+) \d+\/\d+\]/.exec(name)?.[1];
  return stage === undefined ? `the result of ${name}` : `stage ${stage}`;
}

/** Names beside `path` that differ in case only, or in a few letters; at the first directory that is missing. */
async function nearNames(tree: FileTree, path: TreePath): Promise<readonly TreePath[]> {
  let at = path;
  while (at !== '' && parentPath(at) !== '' && (await tree.lookup(parentPath(at))) === undefined) at = parentPath(at);
  const parent = parentPath(at);
  const wanted = at.slice(parent === '' ? 0 : parent.length + 1);
  const scored = ((await tree.list(parent)) ?? [])
    .map((name) => ({ name, edits: distance(name.toLowerCase(), wanted.toLowerCase()) }))
    .filter(({ name, edits }) => edits <= MAX_EDITS && edits < Math.max(name.length, wanted.length))
    .sort((a, b) => a.edits - b.edits);
  return scored.slice(0, MAX_SUGGESTIONS).map(({ name }) => joinPath(parent, name));
}
