/** The part of a stage that others take, as an image of one layer: what travels when another node has made the stage. */
import type { FileTree } from '../contracts/index.ts';
import { definition, vertex } from '../llb/index.ts';
import type { Definition, Platform, Vertex } from '../llb/index.ts';
import { matchPattern } from '../pattern/index.ts';
import { copyFiles } from './copy-files.ts';

/** Depth of links followed, so that a circle of them ends. */
const LINKS_MAX = 255;

/** Only `paths` of the vertex' files, where they were, with the links on the way and what those lead to. */
export async function partOfStage(
  from: Vertex,
  paths: readonly string[],
  files: FileTree,
  platform: Platform,
): Promise<Definition> {
  const wanted = new Set<string>();
  for (const path of paths) await follow(files, '', parts(path), wanted, 0);
  // Nothing is there: the step that copies says so.
  if (wanted.size === 0) wanted.add('.slipway-nothing');
  const copy = vertex(
    {
      kind: 'file',
      actions: [
        {
          input: -1,
          secondaryInput: 0,
          output: 0,
          action: copyFiles([...wanted].sort().map(quote)),
        },
      ],
    },
    [{ vertex: from, index: 0 }],
    { platform, metadata: { name: `[internal] take ${paths.join(' ')}`, location: from.metadata.location } },
  );
  return definition({ vertex: copy, index: 0 });
}

/** Adds what `rest` leads to below `at`, and every link on the way. */
async function follow(
  files: FileTree,
  at: string,
  rest: readonly string[],
  wanted: Set<string>,
  links: number,
): Promise<void> {
  const [next, ...more] = rest;
  if (next === undefined) {
    if (at !== '') wanted.add(at);
    return;
  }
  const names = /[*?[\\]/.test(next)
    ? ((await files.list(at)) ?? []).filter((name) => matchPattern(next, name))
    : [next];
  for (const name of names) {
    const path = at === '' ? name : `${at}/${name}`;
    const entry = await files.lookup(path);
    if (entry === undefined) continue;
    if (entry.type !== 'symlink') await follow(files, path, more, wanted, links);
    else {
      wanted.add(path);
      if (links >= LINKS_MAX) continue;
      const target = entry.target.startsWith('/') ? parts(entry.target) : parts(`${at}/${entry.target}`);
      await follow(files, '', [...target.map(quote), ...more], wanted, links + 1);
    }
  }
}

/** Cleaned: nothing leads above the root. */
function parts(path: string): readonly string[] {
  const found: string[] = [];
  for (const part of path.split('/')) {
    if (part === '..') found.pop();
    else if (part !== '' && part !== '.') found.push(part);
  }
  return found;
}

function quote(path: string): string {
  return path.replace(/[\\*?[]/g, '\\$&').replace(/^!/, '\\!');
}
