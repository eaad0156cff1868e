import type { WorkContext } from '../../contracts/index.ts';
import { collectPins, lockFilePath, readLockFile, writeLockFile, type LockFile } from './lock-file.ts';
import type { BuildOptions } from '../options.ts';
import { withSession } from '../session.ts';

export interface LockOptions extends BuildOptions {
  /** Look up again what is pinned already. */
  readonly update?: boolean | undefined;
  /** Say what would change, write nothing. */
  readonly dryRun?: boolean | undefined;
}

/** A name whose meaning changed; `before` or `after` is undefined when it came or went. */
export interface LockChange {
  readonly name: string;
  readonly before: string | undefined;
  readonly after: string | undefined;
}

/**
 * Pins every image, URL and git ref that a build of the target reads, in `slipway.lock` beside the Dockerfile. Pulls no
 * layer; downloads what ADD takes from URLs, to know its content.
 * Errors: those of reading the Dockerfile and of resolving names.
 */
export async function lock(
  options: LockOptions,
): Promise<{ readonly path: string; readonly changes: readonly LockChange[] }> {
  const path = lockFilePath(options);
  const before = await readLockFile(path);
  const pins = collectPins(options.update === true ? undefined : before);
  await withSession(
    { ...options, pull: true },
    async (session) => {
      const frontends = await session.convert(await session.read());
      const vertices = frontends.flatMap(({ definition }) => definition.vertices);
      const sources = vertices.filter((vertex) => vertex.op.kind === 'source');
      await Promise.all(
        sources.map(async (vertex) => {
          const { events, signal } = session;
          const context: WorkContext = { events, signal, location: vertex.metadata.location };
          await session.worker.sourceKey(vertex, context);
        }),
      );
    },
    { listsContent: false, pins },
  );
  const after = pins.lockFile();
  if (options.dryRun !== true) await writeLockFile(path, after);
  return { path, changes: changesBetween(before, after) };
}

function changesBetween(before: LockFile | undefined, after: LockFile): readonly LockChange[] {
  const flat = (file: LockFile | undefined) =>
    ({ ...file?.images, ...file?.urls, ...file?.git }) as Readonly<Record<string, string>>;
  const [old, now] = [flat(before), flat(after)];
  return [...new Set([...Object.keys(old), ...Object.keys(now)])]
    .sort()
    .filter((name) => old[name] !== now[name])
    .map((name) => ({ name, before: old[name], after: now[name] }));
}
