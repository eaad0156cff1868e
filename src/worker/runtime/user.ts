/**
 * Who a step runs as: the USER string looked up in the root's own passwd and group, with the semantics of moby/sys/user
 * `GetExecUser` that Docker and BuildKit share.
 */
import { BuildError } from '../../contracts/index.ts';

export interface RunUser {
  readonly uid: number;
  readonly gid: number;
  /** The primary group first, then supplementary ones. */
  readonly additionalGids: readonly number[];
}

export interface UserFiles {
  /** Content of the root's /etc/passwd; undefined when there is none. Read only when needed. */
  passwd(): string | undefined;
  group(): string | undefined;
}

/** Highest id that Docker takes. */
const MAX_ID = 2 ** 31 - 1;

/**
 * @param user `''` = root, `name`, `uid`, `name:group`, `uid:gid` and mixtures. A uid without a passwd entry gets group
 *   0; a group given by hand drops the supplementary ones.
 * Errors: `run-failed` for a name or group that is not there, an id out of range.
 */
export function resolveUser(user: string, files: UserFiles): RunUser {
  const spec = user === '' ? '0' : user;
  const colon = spec.indexOf(':');
  const userPart = colon < 0 ? spec : spec.slice(0, colon);
  const groupPart = colon < 0 ? '' : spec.slice(colon + 1);
  const uid = numericId(userPart);
  const gid = numericId(groupPart);
  if (uid !== undefined && gid !== undefined) return withGroups(checkId(uid), checkId(gid), []);

  const entry = findUser(files.passwd() ?? '', userPart, uid);
  if (entry === undefined && uid === undefined && userPart !== '') throw unknown('user', userPart, 'passwd');
  const found = entry ?? { name: '', uid: checkId(uid ?? 0), gid: 0 };

  if (groupPart !== '') {
    const group = parseGroups(files.group() ?? '').find(
      (candidate) => candidate.gid === gid || (gid === undefined && candidate.name === groupPart),
    );
    if (group === undefined && gid === undefined) throw unknown('group', groupPart, 'group');
    return withGroups(found.uid, group?.gid ?? checkId(gid ?? 0), []);
  }
  if (found.name === '') return withGroups(found.uid, found.gid, []);
  const supplementary = parseGroups(files.group() ?? '')
    .filter((group) => group.members.includes(found.name))
    .map((group) => group.gid);
  return withGroups(found.uid, found.gid, supplementary);
}

/**
 * The step's variables. A user whom passwd does not know is at home in the root, as runc has it; of who is known, every
 * runtime finds the home itself.
 */
export function withHome(env: readonly string[], uid: number, files: Pick<UserFiles, 'passwd'>): readonly string[] {
  if (env.some((pair) => pair.startsWith('HOME=')) || findUser(files.passwd() ?? '', '', uid) !== undefined) return env;
  return [...env, 'HOME=/'];
}

function withGroups(uid: number, gid: number, supplementary: readonly number[]): RunUser {
  return { uid, gid, additionalGids: [...new Set([gid, ...supplementary])] };
}

function numericId(text: string): number | undefined {
  return /^\d+$/.test(text) ? Number(text) : undefined;
}

function checkId(id: number): number {
  if (id <= MAX_ID) return id;
  throw new BuildError({
    code: 'run-failed',
    message: `user and group ids must be in range 0-${MAX_ID}, not ${id}`,
    hint: 'see the USER instruction that is in force here',
  });
}

function unknown(kind: 'user' | 'group', name: string, file: string): BuildError {
  return new BuildError({
    code: 'run-failed',
    message: `unable to find ${kind} ${name}: no matching entries in ${file} file`,
    hint: `create it before the USER instruction (RUN ${kind}add ${name}), or give a number`,
  });
}

interface PasswdEntry {
  readonly name: string;
  readonly uid: number;
  readonly gid: number;
}

function findUser(passwd: string, name: string, uid: number | undefined): PasswdEntry | undefined {
  for (const line of passwd.split('\n')) {
    const fields = line.trim().split(':');
    const entry = { name: fields[0] ?? '', uid: toNumber(fields[2]), gid: toNumber(fields[3]) };
    if (entry.name === '') continue;
    if (uid === undefined ? entry.name === name : entry.uid === uid) return entry;
  }
  return undefined;
}

function parseGroups(
  text: string,
): readonly { readonly name: string; readonly gid: number; readonly members: readonly string[] }[] {
  return text
    .split('\n')
    .map((line) => line.trim().split(':'))
    .filter((fields) => (fields[0] ?? '') !== '')
    .map((fields) => ({
      name: fields[0] ?? '',
      gid: toNumber(fields[2]),
      members: (fields[3] ?? '').split(','),
    }));
}

/** As Go's Atoi with its error ignored: what is no number is 0. */
function toNumber(text: string | undefined): number {
  return /^-?\d+$/.test(text ?? '') ? Number(text) : 0;
}
