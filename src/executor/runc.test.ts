/** The other runtime does the same. */
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { openFixture, outline, processesWith, until, type Fixture } from './test-fixture.ts';

describe('runc', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await openFixture({ runtime: 'runc' });
  });
  afterAll(async () => {
    await fixture.close();
  });

  it('runs steps with capabilities, filter and no trace of its mount points', async () => {
    const { stdout, tree } = await fixture.run(
      "grep -E '^(CapEff|Seccomp):' /proc/self/status | tr -d '\\t'; umask; hostname; echo 1 > /x; (mount -t tmpfs none /tmp) 2>&1 | grep -c .",
    );
    expect(stdout).toBe('CapEff:00000000a80425fb\nSeccomp:2\n0022\nbuildkitsandbox\n1\n');
    expect(outline(tree)).toEqual(['x file']);
  });

  it.each([
    [['/bin/none'], 127],
    [['none'], 127],
    [['/etc/passwd'], 126],
  ])('says of %j what crun says', async (args, exitCode) => {
    await expect(fixture.run('', { args })).rejects.toMatchObject({ code: 'run-failed', exitCode });
  });

  it('ends a step that is cancelled', async () => {
    const controller = new AbortController();
    const marker = '31337.0625';
    const work = fixture.run(`sleep ${marker}`, {}, controller.signal);
    await until(() => processesWith(`sleep\0${marker}`).length === 1);
    controller.abort();
    await expect(work).rejects.toMatchObject({ code: 'cancelled' });
    expect(processesWith(`sleep\0${marker}`)).toEqual([]);
  });
});
