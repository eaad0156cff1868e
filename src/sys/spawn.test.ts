import { closeSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makePipe } from './pipe.ts';
import { closeOnExec, spawnProcess } from './spawn.ts';

/** Runs a shell script and collects its output. */
async function shell(script: string, env: readonly string[] = []): Promise<readonly [unknown, string]> {
  const pipe = makePipe();
  const child = spawnProcess({ path: '/bin/sh', args: ['-c', script], env, stdio: [null, pipe.write, pipe.write] });
  closeSync(pipe.write);
  const status = await child.exited;
  const output = readFileSync(pipe.read, 'utf8');
  closeSync(pipe.read);
  return [status, output];
}

describe('a spawned process', () => {
  it.each([
    ['exit 0', { code: 0 }],
    ['exit 7', { code: 7 }],
    ['exit 255', { code: 255 }],
    ['kill -9 $$', { signal: 9 }],
    ['kill -TERM $$', { signal: 15 }],
  ])('%s', async (script, status) => {
    expect(await shell(script)).toEqual([status, '']);
  });

  it('has its environment, arguments and an empty stdin', async () => {
    expect(await shell('cat; echo "$A|$B|$HOME"', ['A=one two', 'B=ü', 'PATH=/usr/bin:/bin'])).toEqual([
      { code: 0 },
      'one two|ü|\n',
    ]);
  });

  it('inherits no other descriptors', async () => {
    closeOnExec();
    const [, output] = await shell('ls /proc/self/fd', ['PATH=/usr/bin:/bin']);
    expect(output.trim().split('\n')).toEqual(['0', '1', '2', '3']); // 3 is the directory that ls reads
  });

  it('starts with default signal actions', async () => {
    // Node ignores SIGPIPE; a shell that inherited that could not be ended by it.
    expect(await shell('kill -PIPE $$; echo survived')).toEqual([{ signal: 13 }, '']);
  });

  it('is many at once', async () => {
    const codes = Array.from({ length: 40 }, (_, code) => shell(`exit ${code}`));
    expect((await Promise.all(codes)).map(([status]) => status)).toEqual(
      Array.from({ length: 40 }, (_, code) => ({ code })),
    );
  });

  it('is an error when there is no such program', () => {
    expect(() => spawnProcess({ path: '/no/such', args: [], env: [], stdio: [null, null, null] })).toThrow(
      expect.objectContaining({ code: 'host', message: expect.stringContaining('ENOENT') as string }) as Error,
    );
  });
});
