/**
 * `--chown` and the owner of what a file op makes, as numbers (BuildKit: solver/llbsolver/ops/user_linux.go). Names are
 * looked up in the passwd and group files of the tree that the op names; a number for the user is the group's too.
 */
import { readFile } from 'node:fs/promises';
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, FileTree } from '../../contracts/index.ts';
import type { Chown, UserRef } from '../../llb/index.ts';
import { resolvePath } from './path.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

export const PASSWD = '/etc/passwd';
export const GROUP = '/etc/group';

/** Gives the tree of an op input (or of an earlier action's result) whose names count. */
export type TreeOf = (input: number) => Promise<FileTree>;

/**
 * @param warn Told of a name that is nowhere: it counts as 0, as in BuildKit.
 * @returns Undefined when the op says nothing about the owner.
 * @throws BuildError `copy` for a name without a tree to look it up in (`--link`).
 */
export async function resolveOwner(
  chown: Chown | undefined,
  treeOf: TreeOf,
  warn: (message: string) => void,
): Promise<Owner | undefined> {
  if (chown === undefined) return undefined;
  let uid = 0;
  let gid = 0;
  if (chown.user?.kind === 'id') {
    uid = chown.user.id ?? 0;
    gid = uid;
  } else if (chown.user !== undefined) {
    const found = await findUser(chown.user, treeOf);
    if (found === undefined) warn(`no user ${JSON.stringify(chown.user.name ?? '')} in /etc/passwd: 0 is used`);
    else ({ uid, gid } = found);
  }
  if (chown.group?.kind === 'id') gid = chown.group.id ?? 0;
  else if (chown.group !== undefined) {
    const found = await findGroup(chown.group, treeOf);
    if (found === undefined) warn(`no group ${JSON.stringify(chown.group.name ?? '')} in /etc/group: 0 is used`);
    else gid = found;
  }
  return { uid, gid };
}

/** `--chown=-1` comes as this: chown(2) leaves it as it is. */
const UNCHANGED = 0xffff_ffff;

/** The id that an entry gets; undefined = it keeps its own. */
export function keptId(id: number | undefined): number | undefined {
  return id === UNCHANGED ? undefined : id;
}

export function changeOwner({ uid, gid }: Owner, owner: Owner | undefined): Owner {
  if (owner === undefined) return { uid, gid };
  return { uid: keptId(owner.uid) ?? uid, gid: keptId(owner.gid) ?? gid };
}

async function findUser(user: UserRef, treeOf: TreeOf): Promise<Owner | undefined> {
  for (const fields of await readTable(user, PASSWD, treeOf)) {
    if (fields[0] === user.name) return { uid: toId(fields[2]), gid: toId(fields[3]) };
  }
  return undefined;
}

async function findGroup(group: UserRef, treeOf: TreeOf): Promise<number | undefined> {
  for (const fields of await readTable(group, GROUP, treeOf)) {
    if (fields[0] === group.name) return toId(fields[2]);
  }
  return undefined;
}

function toId(text: string | undefined): number {
  const id = Number(text);
  return Number.isSafeInteger(id) && id >= 0 && id <= 0xffff_ffff ? id : 0;
}

/** Lines of a passwd-like file as fields; none when there is no such file. */
async function readTable(ref: UserRef, file: string, treeOf: TreeOf): Promise<readonly string[][]> {
  const input = ref.input ?? -1;
  if (input < 0) {
    throw new BuildError({
      code: 'copy',
      message: `the owner ${JSON.stringify(ref.name ?? '')} cannot be looked up: there is no file system below`,
      hint: 'With --link, and on scratch, use a number in its place.',
    });
  }
  const tree = await treeOf(input);
  const { path, entry } = await resolvePath(tree, file);
  if (entry?.type !== 'file') return [];
  const [location] = await tree.locate([path]);
  if (location === undefined) return [];
  return (await readLocation(location))
    .toString('utf8')
    .split('\n')
    .map((line) => line.trim().split(':'));
}

/** All bytes of a small file. */
export async function readLocation(location: ContentLocation): Promise<Buffer> {
  if (location.kind === 'bytes') return Buffer.from(location.data);
  return readFile(location.path);
}
