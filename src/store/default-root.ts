import { homedir } from 'node:os';
import { join } from 'node:path';

/**
 * The state directory of a user: `SLIPWAY_ROOT`, else `/var/lib/slipway` for root, else `$XDG_DATA_HOME/slipway`, which
 * is `~/.local/share/slipway` when unset or relative (XDG base directory specification).
 */
export function defaultRoot(env: Readonly<Record<string, string | undefined>>, uid: number): string {
  const chosen = env['SLIPWAY_ROOT'];
  if (chosen !== undefined && chosen !== '') return chosen;
  if (uid === 0) return '/var/lib/slipway';
  const data = env['XDG_DATA_HOME'];
  if (data?.startsWith('/') === true) return join(data, 'slipway');
  const home = env['HOME'];
  return join(home !== undefined && home !== '' ? home : homedir(), '.local/share/slipway');
}
