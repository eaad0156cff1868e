import { spawn, type ChildProcess } from 'node:child_process';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

/** The command as npm installs it. */
export const SLIPWAY = fileURLToPath(new URL('../../bin/slipway.js', import.meta.url));

export interface CliResult {
  readonly code: number | null;
  readonly stdout: string;
  readonly stderr: string;
}

/** A place for one test file: a state directory and contexts, removed by `dispose`. */
export class Bench {
  readonly dir: string;
  readonly env: Record<string, string>;
  readonly #children = new Set<ChildProcess>();

  constructor(env: Readonly<Record<string, string>> = {}) {
    // Not /tmp: overlay upper directories want a file system that takes trusted xattrs.
    this.dir = mkdtempSync('/var/tmp/slipway-test-');
    this.env = {
      SLIPWAY_ROOT: join(this.dir, 'state'),
      DOCKER_CONFIG: join(this.dir, 'docker'),
      NO_COLOR: '1',
      ...env,
    };
  }

  /** Writes a context: path to content. */
  context(name: string, files: Readonly<Record<string, string | Uint8Array>>): string {
    const root = join(this.dir, name);
    mkdirSync(root, { recursive: true });
    for (const [path, content] of Object.entries(files)) {
      mkdirSync(dirname(join(root, path)), { recursive: true });
      writeFileSync(join(root, path), content);
    }
    return root;
  }

  start(
    args: readonly string[],
    options: { readonly cwd?: string; readonly env?: Readonly<Record<string, string>> } = {},
  ): ChildProcess {
    const child = spawn(process.execPath, [SLIPWAY, ...args], {
      cwd: options.cwd ?? this.dir,
      env: { PATH: process.env['PATH'], HOME: this.dir, ...this.env, ...options.env },
      stdio: ['pipe', 'pipe', 'pipe'],
    });
    this.#children.add(child);
    child.on('exit', () => this.#children.delete(child));
    return child;
  }

  async run(
    args: readonly string[],
    options: {
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly stdin?: string | Uint8Array;
    } = {},
  ): Promise<CliResult> {
    const { code, stdout, stderr } = await this.runBytes(args, options);
    return { code, stdout: stdout.toString('utf8'), stderr };
  }

  async runBytes(
    args: readonly string[],
    options: {
      readonly cwd?: string;
      readonly env?: Readonly<Record<string, string>>;
      readonly stdin?: string | Uint8Array;
    } = {},
  ): Promise<{ readonly code: number | null; readonly stdout: Buffer; readonly stderr: string }> {
    const child = this.start(args, options);
    const out: Buffer[] = [];
    const err: Buffer[] = [];
    child.stdout?.on('data', (chunk: Buffer) => out.push(chunk));
    child.stderr?.on('data', (chunk: Buffer) => err.push(chunk));
    child.stdin?.on('error', () => undefined);
    child.stdin?.end(options.stdin ?? '');
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    return { code, stdout: Buffer.concat(out), stderr: Buffer.concat(err).toString('utf8') };
  }

  dispose(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    rmSync(this.dir, { recursive: true, force: true });
  }
}
