/** Whoever is killed: no process, no mount is left, and the next build works. */
import { spawn, type ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFixture, processesWith, until, type Fixture } from './test-fixture.ts';

let fixture: Fixture;
const scratch = mkdtempSync(`${tmpdir()}/slipway-kill-`);
beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(async () => {
  await fixture.close();
  rmSync(scratch, { recursive: true, force: true });
});

const mountsOf = (pid: number | 'self'): string => readFileSync(`/proc/${pid}/mountinfo`, 'utf8');
const childOf = (root: string): number => {
  const [pid] = processesWith(root).filter((candidate) =>
    readFileSync(`/proc/${candidate}/cmdline`, 'latin1').split('\0')[0]?.endsWith('node'),
  );
  if (pid === undefined) throw new Error('no executor is running');
  return pid;
};

/** A main process of its own that runs two sleeping steps, one of them with a cache mount. */
function startMain(marker: string): ChildProcess {
  const script = `${scratch}/main-${marker}.mjs`;
  const source = (name: string): string => fileURLToPath(new URL(name, import.meta.url));
  const request = (upper: string, mounts: readonly unknown[]): string =>
    JSON.stringify({
      layers: [fixture.base],
      upper,
      args: ['/bin/sh', '-c', `trap "" TERM; sleep ${marker} & sleep ${marker}`],
      env: ['PATH=/bin'],
      cwd: '/',
      user: '',
      network: 'sandbox',
      security: 'sandbox',
      mounts,
    });
  const cache = { type: 'cache', target: '/c', id: 'kill', sharing: 'shared', source: '', readonly: false };
  writeFileSync(
    script,
    `import { createExecutor } from ${JSON.stringify(source('./index.ts'))};
     const executor = createExecutor({ root: ${JSON.stringify(fixture.root)} });
     const options = { signal: new AbortController().signal, onOutput() {} };
     executor.exec(${request(fixture.store.newLayer(), [])}, options);
     executor.exec(${request(fixture.store.newLayer(), [cache])}, options);`,
  );
  return spawn(process.execPath, [script], { stdio: ['ignore', 'inherit', 'inherit'] });
}

describe('kill -9', () => {
  it('of the main process ends executor, runtime and steps, and with them every mount', async () => {
    const marker = '41337.125';
    const main = startMain(marker);
    await until(() => processesWith(`sleep\0${marker}`).length === 4);
    const executor = childOf(fixture.root);
    expect(mountsOf(executor)).toContain('/rootfs');
    main.kill('SIGKILL');
    await until(() => processesWith(marker).length === 0 && !existsSync(`/proc/${executor}`));
    expect(processesWith(fixture.root)).toEqual([]);
    expect(mountsOf('self')).not.toContain(fixture.root);
    expect((await fixture.run('echo next')).stdout).toBe('next\n');
  });

  it('of the executor ends its steps; what waited for them learns it, and the next step gets a new one', async () => {
    const marker = '41337.25';
    const work = fixture.run(`sleep ${marker} & sleep ${marker}`);
    const failed = expect(work).rejects.toMatchObject({ code: 'host', message: /executor was killed/ });
    await until(() => processesWith(`sleep\0${marker}`).length === 2);
    process.kill(childOf(fixture.root), 'SIGKILL');
    await failed;
    await until(() => processesWith(marker).length === 0);
    expect(mountsOf('self')).not.toContain(fixture.root);
    expect((await fixture.run('echo next')).stdout).toBe('next\n');
  });

  it('of the runtime ends the step and leaves no orphan', async () => {
    const marker = '41337.5';
    const work = fixture.run(`sleep ${marker}; echo survived`);
    await until(() => processesWith(`sleep\0${marker}`).length === 1);
    const runtimes = processesWith(`${fixture.root}/statcache`).filter((pid) => {
      const program = readFileSync(`/proc/${pid}/cmdline`, 'latin1').split('\0')[0] ?? '';
      return /(crun|runc)$/.test(program);
    });
    expect(runtimes.length).toBeGreaterThan(0);
    for (const pid of runtimes) process.kill(pid, 'SIGKILL');
    await expect(work).rejects.toMatchObject({ code: 'host', message: /was killed from outside/ });
    await until(() => processesWith(marker).length === 0);
  });
});
