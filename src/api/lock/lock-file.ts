import { readFile, rename, writeFile } from 'node:fs/promises';
import { dirname, join, resolve } from 'node:path';
import { BuildError } from '../../contracts/index.ts';
import type { PinKind, Pins } from '../../source/index.ts';
import type { BuildOptions } from '../options.ts';

export const LOCK_FILE = 'slipway.lock';

/** What is in slipway.lock; names sorted, so that it diffs well. */
export interface LockFile {
  readonly version: 1;
  /** Full name with tag to the digest of what it points to. */
  readonly images: Readonly<Record<string, string>>;
  /** URL to the sha256 of its content. */
  readonly urls: Readonly<Record<string, string>>;
  /** `REMOTE#REF` to the commit. */
  readonly git: Readonly<Record<string, string>>;
}

const SECTIONS: Readonly<Record<PinKind, 'images' | 'urls' | 'git'>> = { image: 'images', url: 'urls', git: 'git' };
const VALUES: Readonly<Record<keyof typeof SECTIONS, RegExp>> = {
  image: /^sha256:[0-9a-f]{64}$/,
  url: /^sha256:[0-9a-f]{64}$/,
  git: /^[0-9a-f]{40}([0-9a-f]{24})?$/,
};

/** Beside the Dockerfile; in the context when that comes from elsewhere. */
export function lockFilePath({ context, dockerfile, cwd = process.cwd() }: BuildOptions): string {
  if (dockerfile !== undefined && dockerfile !== '-') return join(dirname(resolve(cwd, dockerfile)), LOCK_FILE);
  return join(context === '-' ? cwd : resolve(cwd, context), LOCK_FILE);
}

/** @throws BuildError `usage` for a file that is damaged or of a newer version */
export async function readLockFile(path: string): Promise<LockFile | undefined> {
  let text: string;
  try {
    text = await readFile(path, 'utf8');
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return undefined;
    throw new BuildError({ code: 'permission', message: `${path} cannot be read`, cause: error });
  }
  const damaged = (why: string) =>
    new BuildError({
      code: 'usage',
      message: `${path} is damaged: ${why}`,
      hint: 'make it anew: slipway lock --update',
    });
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    throw damaged('it is not JSON');
  }
  const file = value as Partial<LockFile> | null;
  if (file?.version !== 1) throw damaged(`its version is ${String(file?.version)}, this Slipway knows 1`);
  for (const [kind, section] of Object.entries(SECTIONS) as [PinKind, 'images' | 'urls' | 'git'][]) {
    for (const [name, pin] of Object.entries(file[section] ?? {})) {
      if (typeof pin !== 'string' || !VALUES[kind].test(pin)) throw damaged(`what it says of ${name} is no pin`);
    }
  }
  return { version: 1, images: file.images ?? {}, urls: file.urls ?? {}, git: file.git ?? {} };
}

export async function writeLockFile(path: string, file: LockFile): Promise<void> {
  const partial = `${path}.${process.pid}.partial`;
  await writeFile(partial, `${JSON.stringify(file, undefined, 2)}\n`);
  await rename(partial, path);
}

/** `build --frozen`: what is locked, and nothing else. @throws BuildError `usage` when there is no lock file */
export async function frozenPins(options: BuildOptions): Promise<Pins> {
  const path = lockFilePath(options);
  const file = await readLockFile(path);
  if (file === undefined) {
    throw new BuildError({ code: 'usage', message: `--frozen needs ${path}`, hint: 'make it: slipway lock' });
  }
  return {
    find(kind, name) {
      const pins = file[SECTIONS[kind]];
      if (Object.hasOwn(pins, name)) return pins[name];
      throw new BuildError({
        code: 'usage',
        message: `${LOCK_FILE} does not pin ${name}`,
        hint: 'add it: slipway lock; then look at what changed',
      });
    },
    saw: () => undefined,
  };
}

/** Collects what names mean; names that `known` has mean what it says. */
export function collectPins(known: LockFile | undefined): Pins & { lockFile(): LockFile } {
  const seen = { images: new Map<string, string>(), urls: new Map<string, string>(), git: new Map<string, string>() };
  const sorted = (pins: ReadonlyMap<string, string>) =>
    Object.fromEntries([...pins].sort(([a], [b]) => (a < b ? -1 : 1)));
  return {
    find: (kind, name) => known?.[SECTIONS[kind]][name],
    saw: (kind, name, value) => void seen[SECTIONS[kind]].set(name, value),
    lockFile: () => ({ version: 1, images: sorted(seen.images), urls: sorted(seen.urls), git: sorted(seen.git) }),
  };
}
