import { execFileSync } from 'node:child_process';
import { mkdirSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';
import { bridgePort } from '../support/buildkit-bridge.ts';
import type { Bench } from '../support/cli.ts';
import { startDockerd } from '../support/dockerd.ts';

const kit = buildkitBench();
const { bench, build } = kit;

withDaemon('accidents', () => {
  const slow = (): string =>
    bench.context('slow', { Dockerfile: `FROM ${kit.base}\nRUN echo running; sleep 60\n`, x: 'x' });

  /** Starts a build, does something to it once its step runs, and waits for its end. */
  async function disturb(
    words: readonly string[],
    disturbance: (child: ReturnType<Bench['start']>) => void | Promise<void>,
  ) {
    const child = bench.start(['build', '--network', 'host', '--progress', 'plain', '--no-cache', ...words, slow()]);
    let stderr = '';
    let disturbed: Promise<void> | undefined;
    child.stderr?.on('data', (data: Buffer) => {
      stderr += data.toString('utf8');
      if (/#\d+ [\d.]+ running/.test(stderr)) disturbed ??= Promise.resolve(disturbance(child));
    });
    const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
    await disturbed;
    return { code, stderr };
  }

  it('the connection is cut: one error, nothing written', async () => {
    const bridge = await bridgePort(kit.dockerd.host);
    const out = join(bench.dir, 'cut.tar');
    const result = await disturb(['--builder', bridge.url, '-o', `type=oci,dest=${out}`], () => bridge.cut());
    await bridge.close();
    expect(result.code).toBe(6);
    expect(result.stderr).toMatch(/error: the connection to tcp:[^\n]* was lost/);
    expect(readdirSync(bench.dir).filter((name) => name.includes('cut.tar'))).toEqual([]);
  });

  it('Ctrl-C ends the build on the daemon too', async () => {
    const result = await disturb(['--builder', 'docker'], (child) => void child.kill('SIGINT'));
    expect(result.code).toBe(130);
    const { stdout } = await bench.run(['builder', 'inspect', 'docker']);
    expect(stdout).toMatch(/builds\s+0 under way/);
  });

  it('the daemon is killed: one error', async () => {
    const victim = await startDockerd(join(bench.dir, 'victim'));
    const result = await disturb(['--builder', `docker://${victim.host}`], async () => await victim.kill());
    expect(result.code).toBe(6);
    expect(result.stderr).toMatch(/error: the connection to [^\n]* was lost/);
  });

  it('the disk of the daemon is full: said as such', async () => {
    const dir = join(bench.dir, 'full');
    mkdirSync(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=64m', 'tmpfs', dir]);
    const victim = await startDockerd(dir);
    try {
      const context = bench.context('filling', {
        Dockerfile: `FROM ${kit.base}\nRUN dd if=/dev/zero of=/big bs=1M count=200\n`,
      });
      const result = await build(['--builder', `docker://${victim.host}`, '-o', 'type=cacheonly', context]);
      expect(result.stderr).toMatch(/No space left on device|no space left/i);
      expect([1, 5]).toContain(result.code);
      const other = bench.context('filling-2', {
        Dockerfile: 'FROM scratch\nCOPY big /\n',
        big: Buffer.alloc(100 << 20),
      });
      const sent = await build(['--builder', `docker://${victim.host}`, '-o', 'type=cacheonly', other]);
      expect(sent.stderr).toMatch(/error: [^\n]*no space left/i);
      expect(sent.code).toBe(5);
    } finally {
      await victim.stop();
      execFileSync('umount', ['-l', dir]);
    }
  });

  it('the disk here is full: the output is not there', async () => {
    const dir = join(bench.dir, 'small');
    mkdirSync(dir);
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', dir]);
    try {
      const context = bench.context('large', {
        Dockerfile: 'FROM scratch\nCOPY big /\n',
        big: Buffer.alloc(4 << 20, 'q'),
      });
      const file = await build(['--builder', 'docker', '-o', `type=tar,dest=${join(dir, 'x.tar')}`, context]);
      expect(file.code, file.stderr).toBe(5);
      expect(readdirSync(dir)).toEqual([]);
      const local = await build(['--builder', 'docker', '-o', join(dir, 'out'), context]);
      expect(local.code, local.stderr).toBe(5);
      expect(readdirSync(join(dir, 'out'))).toEqual([]);
    } finally {
      execFileSync('umount', ['-l', dir]);
    }
  });
});
