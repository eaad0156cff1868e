/**
 * What a build reads of the user's directories. The graph is built first, against sources that would read everything;
 * then each such source is replaced by one that names the paths that were used (`local.followpaths`).
 */
import type { Digest } from '../contracts/index.ts';
import { vertex } from '../llb/index.ts';
import type { Vertex, VertexInput } from '../llb/index.ts';
import { goJson } from './go-format.ts';
import { joinPath } from './paths.ts';
import type { PathUse, UsedPaths } from './state.ts';

/** Collects the paths that a graph reads of local sources. */
export function pathRecorder(): { readonly use: PathUse; readonly used: UsedPaths } {
  const used = new Map<Digest, Set<string>>();
  const use: PathUse = (source, path) => {
    if (source === undefined || !isLocal(source.vertex)) return;
    const paths = used.get(source.vertex.digest);
    if (paths === undefined) used.set(source.vertex.digest, new Set([joinPath('/', path)]));
    else paths.add(joinPath('/', path));
  };
  return { use, used };
}

/** Rewrites graphs so that their local sources read only what is used; shared parts are rewritten once. */
export function narrowSources(used: UsedPaths): (input: VertexInput | undefined) => VertexInput | undefined {
  const done = new Map<Vertex, Vertex>();
  const rewrite = (start: Vertex): Vertex => {
    const stack = [start];
    for (let top = stack.at(-1); top !== undefined; top = stack.at(-1)) {
      const pending = top.inputs.filter((input) => !done.has(input.vertex));
      if (!done.has(top) && pending.length > 0) {
        stack.push(...pending.map((input) => input.vertex));
        continue;
      }
      stack.pop();
      if (!done.has(top)) done.set(top, isLocal(top) ? narrow(top, used.get(top.digest)) : rebuild(top, done));
    }
    return done.get(start) ?? start;
  };
  return (input) => (input === undefined ? undefined : { vertex: rewrite(input.vertex), index: input.index });
}

function rebuild(old: Vertex, done: ReadonlyMap<Vertex, Vertex>): Vertex {
  const inputs = old.inputs.map((input) => ({ vertex: done.get(input.vertex) ?? input.vertex, index: input.index }));
  if (inputs.every((input, i) => input.vertex === old.inputs[i]?.vertex)) return old;
  return vertex(old.op, inputs, { platform: old.platform, metadata: old.metadata });
}

function narrow(source: Vertex, paths: ReadonlySet<string> | undefined): Vertex {
  if (source.op.kind !== 'source' || paths === undefined || paths.size === 0 || paths.has('/')) return source;
  const follow = Array.from(paths, (path) => path.slice(1)).sort();
  const attrs = { ...source.op.attrs, 'local.followpaths': goJson(follow) };
  return vertex({ ...source.op, attrs }, [], { metadata: source.metadata });
}

function isLocal({ op }: Vertex): boolean {
  return op.kind === 'source' && op.identifier.startsWith('local://');
}
