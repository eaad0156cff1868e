/** What a step must not do, counted: a slower start is seen here without a clock. */
import { existsSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { createExecutor } from './index.ts';
import { openFixture, processesWith, until, type Fixture } from './test-fixture.ts';

let fixture: Fixture;
beforeAll(async () => {
  fixture = await openFixture();
});
afterAll(async () => {
  await fixture.close();
});

const compiled = () => `${fixture.root}/code/seccomp-${process.arch}`;
const words = (pid: number, file: 'cmdline' | 'environ') => readFileSync(`/proc/${pid}/${file}`, 'utf8').split('\0');

/** Runs a step, and `look` while it runs, in a build of its own. */
async function during<T>(look: (step: { runtime: number; bundle: string; work: string }) => T): Promise<T> {
  const executor = createExecutor({ root: fixture.root });
  const abort = new AbortController();
  const request = {
    layers: [fixture.base],
    upper: fixture.store.newLayer(),
    args: ['/bin/sh', '-c', 'grep ^Seccomp: /proc/self/status; unshare -m true; echo $?; sleep 60'],
    env: ['PATH=/bin'],
    cwd: '/',
    user: '',
    network: 'sandbox',
    security: 'sandbox',
    mounts: [],
  } as const;
  let said = '';
  const step = executor.exec(request, {
    signal: abort.signal,
    onOutput: (_, data) => void (said += Buffer.from(data).toString()),
  });
  step.catch(() => undefined);
  try {
    await until(() => /^\d+$/m.test(said));
    // Filtered, and what takes a capability that steps lack fails.
    expect(said).toMatch(/^Seccomp:\s*2$[^]*^1$/m);
    const [runtime = 0] = processesWith(`${fixture.root}/statcache/runtime`);
    const bundle = words(runtime, 'cmdline')[words(runtime, 'cmdline').indexOf('--bundle') + 1] ?? '';
    return look({
      runtime,
      bundle: `/proc/${runtime}/root${bundle}`,
      work: `${fixture.root}/l/${request.upper}/work`,
    });
  } finally {
    abort.abort();
    await step.catch(() => undefined);
    await executor.close();
  }
}

interface Config {
  readonly annotations?: Readonly<Record<string, string>>;
  readonly linux: { readonly seccomp?: unknown };
}
const configOf = (bundle: string) => JSON.parse(readFileSync(`${bundle}/config.json`, 'utf8')) as Config;

it('starts the runtime once: crun need not start itself again from a read-only mount', async () => {
  const seen = await during(({ runtime }) => ({
    again: words(runtime, 'environ').some((pair) => pair.startsWith('_LIBCONTAINER_CLONED_BINARY')),
    mount: readFileSync(`/proc/${runtime}/mountinfo`, 'utf8')
      .split('\n')
      .filter((line) => line.includes(`${fixture.root}/statcache/crun `)),
  }));
  expect(seen.again).toBe(false);
  expect(seen.mount).toEqual([expect.stringMatching(/ ro,/)]);
});

it('compiles the seccomp profile once on a machine', async () => {
  await fixture.run('true');
  await until(() => existsSync(compiled()));
  const config = await during(({ bundle }) => configOf(bundle));
  expect(config.linux.seccomp).toBeUndefined();
  const kept = JSON.parse(readFileSync(compiled(), 'utf8')) as { bpf: string; files: [string, string][] };
  expect(config.annotations?.['run.oci.seccomp_bpf_data']).toBe(kept.bpf);
  expect(kept.files.map(([file]) => file)).toContainEqual(expect.stringMatching(/libseccomp/));
});

it.each([
  ['of another version', { version: 0 }],
  ['for another profile', { profile: '{}' }],
  ['for another kernel', { kernel: '1.0' }],
  ['made by a library that is another one now', { files: [['/etc/passwd', '1 2 3']] }],
  ['made by a library that is gone', { files: [['/no/such/library', '1 2 3']] }],
])('compiles it anew where what is kept is %s', async (_, change) => {
  const kept = JSON.parse(readFileSync(compiled(), 'utf8')) as object;
  writeFileSync(compiled(), JSON.stringify({ ...kept, ...change }));
  const config = await during(({ bundle }) => configOf(bundle));
  expect(config.annotations).toBeUndefined();
  expect(config.linux.seccomp).toBeDefined();
  await until(() => !readFileSync(compiled(), 'utf8').includes(JSON.stringify(change).slice(1, -1)));
});

it('compiles it anew where what is kept is damaged', async () => {
  writeFileSync(compiled(), readFileSync(compiled()).subarray(0, 1000));
  expect((await during(({ bundle }) => configOf(bundle))).linux.seccomp).toBeDefined();
});

it('takes away what overlayfs leaves without looking for it', async () => {
  // As in removeWork.
  const left = ['work', 'work/incompat', 'work/incompat/volatile', 'work/incompat/volatile/dirty'];
  expect(await during(({ work }) => readdirSync(work, { recursive: true }))).toEqual(left);
  const { upper } = await fixture.run('true');
  await until(() => !existsSync(`${fixture.root}/l/${upper}/work`));
});

it('needs no lease of the store in the child', async () => {
  await fixture.run('true');
  // The one of this process.
  expect(readdirSync(`${fixture.root}/tmp`).filter((name) => name.endsWith('.lock'))).toHaveLength(1);
});

it('keeps what V8 makes of the code of the child, for itself', async () => {
  rmSync(`${fixture.root}/code`, { recursive: true });
  const umask = process.umask(0);
  try {
    await during(() => undefined);
  } finally {
    process.umask(umask);
  }
  for (const path of ['code', 'code/child']) expect(statSync(`${fixture.root}/${path}`).mode & 0o777).toBe(0o700);
  expect(readdirSync(`${fixture.root}/code/child`, { recursive: true }).length).toBeGreaterThan(1);
});
