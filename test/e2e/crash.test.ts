import { execFileSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

/** Ids of the processes whose command line holds `text`, ours not counted. */
function processes(text: string): readonly number[] {
  return readdirSync('/proc').flatMap((pid) => {
    if (!/^\d+$/.test(pid) || Number(pid) === process.pid) return [];
    try {
      return readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes(text) ? [Number(pid)] : [];
    } catch {
      return [];
    }
  });
}

async function until(what: string, condition: () => boolean): Promise<void> {
  for (let i = 0; i < 200; i++) {
    if (condition()) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error(`never: ${what}`);
}

describe.each(['the main process', 'the executor', 'Ctrl-C'] as const)('a build killed by way of %s', (whom) => {
  it('leaves no process and no mount, and the next build works', async () => {
    const seconds = { 'the main process': '98761', 'the executor': '98762', 'Ctrl-C': '98763' }[whom];
    const context = bench.context(`crash-${seconds}`, {
      Dockerfile: `FROM busybox\nRUN echo one > /one\nRUN sleep ${seconds}\n`,
    });
    const child = bench.start(['build', '--build-context', base, '--progress', 'plain', context]);
    const closed = new Promise<number | null>((resolve) => child.on('close', resolve));
    child.stdout?.resume();
    child.stderr?.resume();
    const step = `sleep\0${seconds}`;
    await until('the step runs', () => processes(step).length > 0);
    if (whom === 'the executor') {
      const executors = processes('child').filter((pid) =>
        readFileSync(`/proc/${pid}/cmdline`, 'utf8').includes('node'),
      );
      const ours = executors.filter((pid) => ancestors(pid).includes(child.pid ?? -1));
      expect(ours.length).toBeGreaterThan(0);
      for (const pid of ours) process.kill(pid, 'SIGKILL');
    } else {
      child.kill(whom === 'Ctrl-C' ? 'SIGINT' : 'SIGKILL');
    }
    const code = await closed;
    expect(code).not.toBe(0);
    if (whom === 'Ctrl-C') expect(code).toBe(130);
    await until('the step is gone', () => processes(step).length === 0);
    expect(execFileSync('cat', ['/proc/self/mountinfo'], { encoding: 'utf8' })).not.toContain(bench.dir);

    bench.context(`crash-${seconds}`, { Dockerfile: 'FROM busybox\nRUN echo one > /one\nRUN cat /one\n' });
    const next = await bench.run(['build', '--build-context', base, '--progress', 'plain', '-t', 'after', context]);
    expect(next, next.stderr).toMatchObject({ code: 0 });
    expect(next.stderr).toMatch(/RUN echo one > \/one\n#\d+ CACHED/);
  });
});

function ancestors(pid: number): readonly number[] {
  const found: number[] = [];
  for (let at = pid; at > 1;) {
    const parent = /^PPid:\t(\d+)$/m.exec(readFileSync(`/proc/${at}/status`, 'utf8'))?.[1];
    at = Number(parent ?? 0);
    found.push(at);
  }
  return found;
}
