/**
 * Flags of `docker build` that mean nothing here. Scripts pass them; a build should not fail for it, nor should anybody
 * think that they did something.
 */
import type { Flag, Parsed } from './command.ts';

const NO_LIMITS = 'RUN steps are bounded by what slipway itself may use; to bound them, start slipway in a cgroup';
const NO_CONTAINERS = 'there are no intermediate containers to keep';

/** Why a flag means nothing, by its name. */
const IGNORED: Readonly<Record<string, string>> = {
  compress: 'the context is read in place, nothing is sent',
  isolation: 'steps always run in containers of the installed runtime',
  'security-opt': 'steps run with the default seccomp filter and capabilities',
  rm: NO_CONTAINERS,
  'force-rm': NO_CONTAINERS,
  memory: NO_LIMITS,
  'memory-swap': NO_LIMITS,
  'cpu-shares': NO_LIMITS,
  'cpu-period': NO_LIMITS,
  'cpu-quota': NO_LIMITS,
  'cpuset-cpus': NO_LIMITS,
  'cpuset-mems': NO_LIMITS,
  resource: NO_LIMITS,
};

const hidden = (name: string, value?: string, short?: string): Flag => ({
  name,
  ...(value !== undefined && { value, multiple: true as const }),
  ...(short !== undefined && { short }),
  hidden: true,
  help: IGNORED[name] ?? '',
});

/** Not in the list that help prints, but named below it. */
export const DOCKER_FLAGS: readonly Flag[] = [
  hidden('compress'),
  hidden('isolation', 'MODE'),
  hidden('security-opt', 'OPTION'),
  hidden('rm'),
  hidden('force-rm'),
  hidden('memory', 'BYTES', 'm'),
  hidden('memory-swap', 'BYTES'),
  hidden('cpu-shares', 'N', 'c'),
  hidden('cpu-period', 'N'),
  hidden('cpu-quota', 'N'),
  hidden('cpuset-cpus', 'LIST'),
  hidden('cpuset-mems', 'LIST'),
  hidden('resource', 'NAME=VALUE'),
];

/** One note for each that was given; what is off anyway, or always so (`--rm`), goes without. */
export function ignoredFlags(parsed: Parsed): readonly { readonly message: string; readonly hint: string }[] {
  return DOCKER_FLAGS.filter(({ name, value }) =>
    value === undefined ? parsed.on(name) && name !== 'rm' && name !== 'force-rm' : parsed.list(name).length > 0,
  ).map(({ name, help }) => ({ message: `--${name} has no effect`, hint: help }));
}
