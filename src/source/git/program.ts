import { spawn } from 'node:child_process';
import { BuildError } from '../../contracts/index.ts';
import { cancelled } from '../cancelled.ts';
import type { Env } from '../types.ts';

/** Whatever a repository, its submodules or the user's configuration say: these protocols, and no other (CVE-2022-39253). */
const PROTOCOLS = 'git:http:https:ssh';
const OUTPUT_MAX = 16 * 1024 * 1024;
/** Of stderr, shown with a failure. */
const ERROR_LINES = 8;

export interface Git {
  /**
   * Runs git with these arguments; returns what it printed.
   *
   * @throws BuildError `host` without git, `cancelled`; else `failed`
   */
  run(directory: string, args: readonly string[], failed: (lines: readonly string[]) => BuildError): Promise<string>;
}

/**
 * The user's own git, with their credentials and ssh, made unable to ask questions, to run hooks or to read a local
 * repository in another's name.
 *
 * @param header Value of `http.extraHeader`, for servers that want a token; it does not show among the arguments.
 */
export function createGit(env: Env, signal: AbortSignal, header: string | undefined): Git {
  const settings: readonly (readonly [string, string])[] = [
    ['core.hooksPath', '/dev/null'],
    ['core.fsmonitor', 'false'],
    ['advice.detachedHead', 'false'],
    ['init.defaultBranch', 'main'],
    ['gc.auto', '0'],
    // A line that carries less than this for a minute is dead.
    ['http.lowSpeedLimit', '100'],
    ['http.lowSpeedTime', '60'],
    ...(header === undefined ? [] : [['http.extraHeader', header] as const]),
  ];
  const full: Record<string, string | undefined> = {
    ...withoutGitVariables(env),
    GIT_ALLOW_PROTOCOL: PROTOCOLS,
    GIT_TERMINAL_PROMPT: '0',
    GIT_SSH_COMMAND: env['GIT_SSH_COMMAND'] ?? 'ssh -oBatchMode=yes -oConnectTimeout=20',
    GIT_CONFIG_COUNT: String(settings.length),
    LC_ALL: 'C',
  };
  for (const [i, [key, value]] of settings.entries()) {
    full[`GIT_CONFIG_KEY_${i}`] = key;
    full[`GIT_CONFIG_VALUE_${i}`] = value;
  }
  return {
    run: (directory, args, failed) =>
      new Promise((resolve, reject) => {
        const child = spawn('git', args, { cwd: directory, env: full, stdio: ['ignore', 'pipe', 'pipe'], signal });
        const output: Buffer[] = [];
        let size = 0;
        let errors = '';
        child.stdout.on('data', (data: Buffer) => {
          size += data.length;
          if (size > OUTPUT_MAX) child.kill('SIGKILL');
          else output.push(data);
        });
        child.stderr.on('data', (data: Buffer) => (errors = (errors + data.toString('utf8')).slice(-OUTPUT_MAX / 256)));
        child.on('error', (error: NodeJS.ErrnoException) => {
          if (signal.aborted) reject(cancelled(signal));
          else reject(noGit(error));
        });
        child.on('close', (code) => {
          if (code === 0) resolve(Buffer.concat(output).toString('utf8'));
          else reject(failed(lastLines(errors)));
        });
      }),
  };
}

/** GIT_DIR and its like, as a hook that calls us has them, would turn our commands to the user's own repository. */
function withoutGitVariables(env: Env): Record<string, string | undefined> {
  const kept = ['GIT_SSL_NO_VERIFY', 'GIT_SSL_CAINFO', 'GIT_ASKPASS', 'GIT_SSH'];
  return Object.fromEntries(Object.entries(env).filter(([name]) => !name.startsWith('GIT_') || kept.includes(name)));
}

function lastLines(text: string): readonly string[] {
  return text
    .split(/[\r\n]+/)
    .map((line) => line.replace(/\p{Cc}+/gu, ' ').trim())
    .filter((line) => line !== '')
    .slice(-ERROR_LINES);
}

function noGit(cause: NodeJS.ErrnoException): BuildError {
  const isMissing = cause.code === 'ENOENT';
  return new BuildError({
    code: 'host',
    message: isMissing ? 'git sources need the program git, which is not installed' : 'git cannot be started',
    hint: isMissing ? 'install it: apt-get install git' : undefined,
    cause,
  });
}
