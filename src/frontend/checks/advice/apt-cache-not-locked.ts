import type { Report, Rule } from '../../../dockerfile/index.ts';
import { isWithin } from './copied.ts';
import { stepMounts, stepsOf } from '../view.ts';
import type { BuildView } from '../view.ts';
import { runCommands } from './commands.ts';

const APT = new Set(['apt', 'apt-get', 'aptitude', 'dpkg']);
const LOCKED_DIRECTORIES = ['/var/cache/apt', '/var/lib/apt', '/var/lib/dpkg'];

export const aptCacheNotLocked: Rule<BuildView> = {
  name: 'AptCacheNotLocked',
  severity: 'warning',
  description: 'Cache mounts of apt are sharing=locked',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'apt and dpkg take a lock in these directories. With the default, `sharing=shared`, two builds or two stages at once fail with `Could not get lock`.',
    bad: 'FROM debian\nRUN --mount=type=cache,target=/var/cache/apt --mount=type=cache,target=/var/lib/apt apt-get update && apt-get install -y curl',
    good: 'FROM debian\nRUN --mount=type=cache,target=/var/cache/apt,sharing=locked --mount=type=cache,target=/var/lib/apt,sharing=locked apt-get update && apt-get install -y curl',
  },
  *check(view): Iterable<Report> {
    for (const step of stepsOf(view.stages, 'RUN')) {
      const open = stepMounts(step, view).find(
        (mount) =>
          mount.type === 'cache' &&
          mount.sharing === 'shared' &&
          !mount.readonly &&
          LOCKED_DIRECTORIES.some((directory) => isWithin(mount.target.replace(/\/+$/, ''), directory)),
      );
      if (open?.type !== 'cache' || !runCommands(step).some(({ program }) => APT.has(program))) continue;
      const word = step.instruction.mounts.find(({ text }) => text.includes(open.target));
      yield {
        message: `two steps at once cannot both have the cache mount ${open.target}: apt locks it`,
        hint: 'add ,sharing=locked to the cache mounts of apt',
        place: step,
        range: step.onBuild ? undefined : word?.range,
      };
    }
  },
};
