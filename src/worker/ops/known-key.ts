/**
 * Content keys of large contexts, remembered with what the context looked like: while all names and stats are the same,
 * no entry need be made of any of them.
 */
import { hash } from 'node:crypto';
import type { Digest, Snapshot } from '../../contracts/index.ts';
import { isDigest } from '../../contracts/index.ts';
import type { Vertex } from '../../llb/index.ts';
import { hasWildcard } from '../../pattern/index.ts';
import { isContextSnapshot } from '../../source/index.ts';
import type { Store } from '../../store/index.ts';
import { boundYoungGeneration } from '../../sys/young-generation.ts';
import { KEY_VERSION, contentMounts, readsNames } from './content-key.ts';
import { cleanPath, treePath } from './path.ts';

/** Below this many entries, keys are made quicker than it is worth to remember them. */
const ENTRIES_MIN = 2000;

/** As `contentKey`, for an input that may be a build context; `make` makes the key from what is read. */
export async function knownContentKey(
  vertex: Vertex,
  index: number,
  input: Snapshot,
  store: Pick<Store, 'readFact' | 'writeFact'>,
  make: () => Promise<Digest | undefined>,
): Promise<Digest | undefined> {
  const path = isContextSnapshot(input) ? directoryRead(vertex, index) : undefined;
  if (path === undefined || !isContextSnapshot(input)) return make();
  const begun = Date.now();
  const look = await input.files.look(path);
  if (look === undefined || look.entries < ENTRIES_MIN) return make();
  boundYoungGeneration();
  // The vertex says which context, under which patterns, and what is done with it.
  const name = `context-key ${hash('sha256', `${KEY_VERSION} ${vertex.digest} ${index} ${input.files.directory}`)}`;
  const state = look.state();
  const [knownState, digest = ''] = store.readFact(name)?.split(' ') ?? [];
  if (knownState === state && isDigest(digest)) return digest;
  const made = await make();
  if (made !== undefined && look.unsettledUntil < begun) store.writeFact(name, `${state} ${made}`);
  return made;
}

/** The directory of the input that the vertex reads, when that is all it reads of it. */
function directoryRead({ op }: Vertex, index: number): string | undefined {
  if (op.kind === 'file') {
    const uses = op.actions.filter(({ input, secondaryInput, action }) => {
      const { owner } = action.kind === 'rm' ? { owner: undefined } : action;
      const names = readsNames(owner?.user, index) || readsNames(owner?.group, index);
      return input === index || secondaryInput === index || names;
    });
    const [only, ...others] = uses;
    if (only === undefined || others.length > 0 || only.input === index || only.action.kind !== 'copy')
      return undefined;
    const { owner, src, allowWildcard } = only.action;
    if (readsNames(owner?.user, index) || readsNames(owner?.group, index)) return undefined;
    return allowWildcard && hasWildcard(src) ? undefined : treePath(cleanPath(src));
  }
  if (op.kind !== 'exec') return undefined;
  const [mount, ...others] = contentMounts(op.mounts, index) ?? [];
  return mount === undefined || others.length > 0 ? undefined : treePath(cleanPath(mount.selector ?? '/'));
}
