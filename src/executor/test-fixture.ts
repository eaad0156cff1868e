/** For tests: a store in a directory of its own, a small root file system in it, and a way to run steps on it. */
import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import type { ExecRequest, ExecResult, LayerId, Tree, TreeEntry } from '../contracts/index.ts';
import { openStore, type Store } from '../store/index.ts';
import { createExecutor } from './index.ts';

export interface StepOutcome {
  readonly result: ExecResult;
  readonly stdout: string;
  readonly stderr: string;
  readonly upper: LayerId;
  /** Undefined where the step was not accepted. */
  readonly tree: Tree | undefined;
}

export interface Fixture {
  readonly root: string;
  readonly store: Store;
  readonly executor: ReturnType<typeof createExecutor>;
  /** The layer of the root file system: busybox, /etc/passwd and group, /opt, /tmp, mount points; no /etc/hosts. */
  readonly base: LayerId;
  /** A layer whose directory `fill` has filled. */
  layer(fill: (directory: string) => void): Promise<LayerId>;
  run(
    script: string,
    request?: Partial<ExecRequest>,
    signal?: AbortSignal,
    /** Told what comes, as it comes. */
    onText?: (text: string) => void,
  ): Promise<StepOutcome>;
  close(): Promise<void>;
}

/** Needs root, a static busybox at /bin/busybox (Debian: busybox-static), and crun or runc. */
export async function openFixture(options: { readonly runtime?: string } = {}): Promise<Fixture> {
  const root = mkdtempSync(`${tmpdir()}/slipway-executor-`);
  const store = await openStore({ root });
  const executor = createExecutor({ root, ...options });
  const layer: Fixture['layer'] = async (fill) => {
    const id = store.newLayer();
    mkdirSync(store.layerDir(id), { recursive: true });
    fill(store.layerDir(id));
    await store.writeTree(id, new Map<string, TreeEntry>());
    store.saveLayer(id, { dir: true });
    return id;
  };
  const base = await layer(fillRoot);
  return {
    root,
    store,
    executor,
    base,
    layer,
    async run(script, request = {}, signal = new AbortController().signal, onText) {
      const upper = store.newLayer();
      const said: { 1: Buffer[]; 2: Buffer[] } = { 1: [], 2: [] };
      const result = await executor.exec(
        {
          layers: [base],
          upper,
          args: ['/bin/sh', '-c', script],
          env: ['PATH=/bin'],
          cwd: '/',
          user: '',
          network: 'sandbox',
          security: 'sandbox',
          mounts: [],
          ...request,
        },
        {
          signal,
          onOutput(stream, data) {
            said[stream].push(Buffer.from(data));
            onText?.(Buffer.from(data).toString('utf8'));
          },
        },
      );
      if (result.size !== undefined) store.saveLayer(upper, { dir: true, size: result.size });
      return {
        result,
        stdout: Buffer.concat(said[1]).toString('utf8'),
        stderr: Buffer.concat(said[2]).toString('utf8'),
        upper,
        tree: result.size === undefined ? undefined : await store.readTree(upper),
      };
    },
    async close() {
      await executor.close();
      store.close();
      rmSync(root, { recursive: true, force: true });
    },
  };
}

function fillRoot(directory: string): void {
  mkdirSync(`${directory}/bin`);
  copyFileSync('/bin/busybox', `${directory}/bin/busybox`);
  chmodSync(`${directory}/bin/busybox`, 0o755);
  for (const name of execFileSync('/bin/busybox', ['--list'], { encoding: 'utf8' }).trim().split('\n')) {
    if (!existsSync(`${directory}/bin/${name}`)) symlinkSync('busybox', `${directory}/bin/${name}`);
  }
  for (const name of ['etc', 'proc', 'sys', 'dev']) mkdirSync(`${directory}/${name}`);
  mkdirSync(`${directory}/opt/sub`, { recursive: true });
  writeFileSync(`${directory}/opt/file`, 'opt\n');
  mkdirSync(`${directory}/tmp`);
  chmodSync(`${directory}/tmp`, 0o1777);
  writeFileSync(
    `${directory}/etc/passwd`,
    'root:x:0:0:root:/root:/bin/sh\napp:x:1000:1001:app:/home/app:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n',
  );
  writeFileSync(`${directory}/etc/group`, 'root:x:0:\napps:x:1001:\nextra:x:2000:app,root\nnogroup:x:65534:\n');
}

/** `path` and type of each entry, `!` for opaque directories, `=first` for hard links. */
export function outline(tree: Tree | undefined): readonly string[] {
  return [...(tree ?? [])].map(([path, entry]) => {
    const opaque = entry.type === 'directory' && entry.opaque === true ? '!' : '';
    const link = entry.type === 'file' && entry.hardlink !== undefined ? `=${entry.hardlink}` : '';
    return `${path} ${entry.type}${opaque}${link}`;
  });
}

/** Processes of this machine whose command line has `text` in it. */
export function processesWith(text: string): readonly number[] {
  const found: number[] = [];
  for (const name of readdirSync('/proc')) {
    if (!/^\d+$/.test(name) || Number(name) === process.pid) continue;
    try {
      if (readFileSync(`/proc/${name}/cmdline`, 'latin1').includes(text)) found.push(Number(name));
    } catch {
      // It has ended.
    }
  }
  return found;
}

/** Waits for a condition, ten seconds at most. */
export async function until(condition: () => boolean): Promise<void> {
  for (let i = 0; i < 1000 && !condition(); i++) await new Promise((resolve) => setTimeout(resolve, 10));
  if (!condition()) throw new Error('the condition did not come true');
}
