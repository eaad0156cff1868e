/** `FileSync`: the build contexts, read in place, of which the daemon fetches what it does not have. */
import type { TreePath } from '../../contracts/index.ts';
import type { ContextTree } from '../../source/index.ts';
import { inclusion } from '../fsutil/include.ts';
import { sendFiles } from '../fsutil/send.ts';
import type { Listing } from '../fsutil/send.ts';
import type { Inclusion } from '../fsutil/include.ts';
import type { Handler, ServerCall } from '../grpc/server.ts';
import { GrpcError, STATUS } from '../grpc/status.ts';
import { FILE_SYNC } from './methods.ts';

/** The context of a local source without what `excludes` names; undefined = there is none of that name. */
export type ContextProvider = (name: string, excludes: readonly string[]) => ContextTree | undefined;

export function fileSyncServices(contexts: ContextProvider): readonly (readonly [string, Handler])[] {
  return [
    [
      FILE_SYNC,
      async (call) => {
        const name = values(call, 'dir-name')[0] ?? '';
        const tree = contexts(name, values(call, 'exclude-patterns'));
        if (tree === undefined)
          throw new GrpcError(STATUS.notFound, `no access allowed to dir ${JSON.stringify(name)}`);
        const wanted = await inclusion(tree, values(call, 'include-patterns'), values(call, 'followpaths'));
        await sendFiles(call, await listing(tree, wanted), async (path) => await locate(tree, path));
      },
    ],
  ];
}

/** Values of a metadata key; those with other than ASCII come URL-escaped (BuildKit, session/filesync encodeOpts). */
function values(call: ServerCall, key: string): readonly string[] {
  const raw = call.metadata(key);
  const escaped = /^(?:1|t|true)$/i.test(call.metadata(`${key}-encoded`)[0] ?? '');
  return escaped ? raw.map((value) => decodeURIComponent(value.replaceAll('+', ' '))) : raw;
}

async function locate(tree: ContextTree, path: TreePath): Promise<string> {
  const [location] = await tree.locate([path]);
  if (location?.kind === 'context-file' || location?.kind === 'file') return location.path;
  throw new GrpcError(STATUS.internal, `${path} has no bytes`);
}

/** What is wanted of a tree, with the directories above it; of several names of a file the first that is sent counts. */
async function listing(tree: ContextTree, wanted: Inclusion | undefined): Promise<Listing> {
  const all = await tree.walk('', wanted?.mayHaveBelow);
  return wanted === undefined ? all : filtered(all, wanted);
}

function* filtered(all: Listing, wanted: Inclusion): Listing & Generator<readonly [TreePath, Entry]> {
  /** Directories that are on the way to something wanted, not sent yet. */
  const pending: (readonly [TreePath, Entry])[] = [];
  /** First name of a file in the tree, to its first name that was sent. */
  const firstSent = new Map<TreePath, TreePath>();
  for (const [path, entry] of all) {
    while (pending.length > 0 && !path.startsWith(`${pending.at(-1)?.[0] ?? ''}/`)) pending.pop();
    if (!wanted.has(path)) {
      if (entry.type === 'directory') pending.push([path, entry]);
      continue;
    }
    yield* pending.splice(0);
    if (entry.type !== 'file') yield [path, entry];
    else {
      const first = entry.hardlink ?? path;
      const sent = firstSent.get(first);
      if (sent === undefined) firstSent.set(first, path);
      yield [path, entry.hardlink === sent ? entry : { ...entry, hardlink: sent }];
    }
  }
}
type Entry = Listing extends Iterable<readonly [TreePath, infer E]> ? E : never;
