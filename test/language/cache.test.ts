/** What a change makes run again, and what it must not (BuildKit: solver/llbsolver/ops, cache/contenthash). */
import { execFileSync } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines, type TestEngine } from '../support/engines.ts';

const bench = new Bench();
let base: readonly string[] = [];
beforeAll(() => {
  base = ['--build-context', `busybox=oci-layout://${busyboxLayout(bench.dir)}`];
});
afterAll(() => bench.dispose());

interface Build {
  readonly dockerfile?: string;
  readonly args?: readonly string[];
  readonly env?: Readonly<Record<string, string>>;
  /** Run by sh in the context before the build. */
  readonly change?: string;
}

let contexts = 0;

/** Whether each step was found in the cache by the second build, in order. */
async function compare(engine: TestEngine, first: Build, second: Build): Promise<string> {
  const context = bench.context(`context-${contexts++}`, { 'd/a': 'a', 'd/b': 'b', 'other/c': 'c' });
  let stderr = '';
  for (const [i, { dockerfile = first.dockerfile ?? '', args = [], env = {}, change }] of [first, second].entries()) {
    if (change !== undefined) execFileSync('sh', ['-ec', change], { cwd: context });
    // Another text, so that no case finds what another has left.
    writeFileSync(join(context, 'Dockerfile'), `FROM busybox\nENV CASE=${contexts}\n${dockerfile}\n`);
    const result = await engine.build(['--progress=plain', ...base, ...args, context], { env });
    expect(result.code, `build ${i}: ${result.stderr}`).toBe(0);
    stderr = result.stderr;
  }
  const steps = [...stderr.matchAll(/^#(\d+) \[(?:stage-\d+ )?\d+\/\d+\] (?:RUN|COPY|ADD|WORKDIR)/gm)].map(
    ([, id]) => id,
  );
  return steps.map((id) => (stderr.includes(`\n#${id} CACHED\n`) ? 'found' : 'ran')).join(' ');
}

onBothEngines(bench, (engine) => {
  const found = async (first: Build, second: Build): Promise<string> => await compare(engine, first, second);

  describe('metadata before a step does not make it run again', () => {
    it.each([
      ['LABEL', 'LABEL a=1', 'LABEL a=2'],
      ['CMD', 'CMD ["a"]', 'CMD ["b"]'],
      ['ENTRYPOINT', 'ENTRYPOINT ["a"]', 'ENTRYPOINT ["b"]'],
      ['EXPOSE', 'EXPOSE 1', 'EXPOSE 2'],
      ['VOLUME', 'VOLUME /a', 'VOLUME /b'],
      ['STOPSIGNAL', 'STOPSIGNAL 1', 'STOPSIGNAL 2'],
      ['HEALTHCHECK', 'HEALTHCHECK NONE', 'HEALTHCHECK CMD x'],
      ['ONBUILD', 'ONBUILD ENV a=1', 'ONBUILD ENV a=2'],
    ])('%s', async (_name, before, after) => {
      const step = 'RUN echo made > /made';
      expect(await found({ dockerfile: `${before}\n${step}` }, { dockerfile: `${after}\n${step}` })).toBe('found');
    });
  });

  describe('what a step can see makes it run again', () => {
    it.each([
      ['ENV', 'ENV a=1', 'ENV a=2'],
      ['USER', 'USER 0', 'USER 0:0'],
      ['SHELL', 'SHELL ["/bin/sh", "-c"]', 'SHELL ["/bin/sh", "-ec"]'],
      ['ARG, though nobody uses it', 'ARG a=1', 'ARG a=2'],
    ])('%s', async (_name, before, after) => {
      const step = 'RUN echo made > /tmp/made';
      expect(await found({ dockerfile: `${before}\n${step}` }, { dockerfile: `${after}\n${step}` })).toBe('ran');
    });

    it.each([
      ['a build argument that is declared', 'ARG a\nRUN true', ['--build-arg', 'a=1'], ['--build-arg', 'a=2'], 'ran'],
      ['one that is declared later', 'RUN true\nARG a', ['--build-arg', 'a=1'], ['--build-arg', 'a=2'], 'found'],
      ['one that is not declared', 'RUN true', ['--build-arg', 'a=1'], ['--build-arg', 'a=2'], 'found'],
      ['a proxy', 'RUN true', ['--build-arg', 'http_proxy=x'], ['--build-arg', 'http_proxy=y'], 'found'],
      [
        'a proxy, declared',
        'ARG no_proxy\nRUN true',
        ['--build-arg', 'no_proxy=x'],
        ['--build-arg', 'no_proxy=y'],
        'ran',
      ],
      ['a label of the command line', 'RUN true', ['--label', 'a=1'], ['--label', 'a=2'], 'found'],
      // A daemon runs it again: docs/engines.md.
      [
        'a limit',
        'RUN true',
        ['--ulimit', 'nofile=100'],
        ['--ulimit', 'nofile=200'],
        engine.name === 'embedded' ? 'found' : 'ran',
      ],
      ['the address of a host', 'RUN true', ['--add-host', 'a:1.1.1.1'], ['--add-host', 'a:2.2.2.2'], 'found'],
      ['the name of a host', 'RUN true', ['--add-host', 'a:1.1.1.1'], ['--add-host', 'b:1.1.1.1'], 'ran'],
      ['the network', 'RUN true', [], ['--network=none'], 'ran'],
      ['the name of the image', 'RUN true', ['-t', 'one'], ['-t', 'two'], 'found'],
    ] as const)('%s: %s', async (_name, dockerfile, one, two, expected) => {
      expect(await found({ dockerfile, args: one }, { args: two })).toBe(expected);
    });

    it('the value of a secret does not', async () => {
      const dockerfile = 'RUN --mount=type=secret,id=s true';
      const args = ['--secret', 'id=s,env=S'];
      expect(await found({ dockerfile, args, env: { S: '1' } }, { args, env: { S: '2' } })).toBe('found');
    });

    it('the id of a cache does not', async () => {
      const step = (id: string): string => `RUN --mount=type=cache,target=/c,id=${id} true`;
      expect(await found({ dockerfile: step('one') }, { dockerfile: step('two') })).toBe('found');
    });
  });

  describe('of a file that is copied', () => {
    it.each([
      ['the time', 'touch -d 2001-01-01 d/a d', 'found found'],
      ['who owns it here', 'chown 5:5 d/a', 'found found'],
      ['what is beside it', 'echo x > other/new', 'found found'],
      ['where it was made', 'mv d e; cp -r e d; rm -r e', 'found found'],
      ['the content', 'echo x > d/a', 'ran ran'],
      ['the mode', 'chmod 700 d/a', 'ran ran'],
      ['its name', 'mv d/a d/z', 'ran ran'],
      ['that it became a link', 'ln -sf b d/a', 'ran ran'],
      ['that it is gone', 'rm d/a', 'ran ran'],
      ['another beside it that is copied', 'echo x > d/x', 'ran ran'],
    ])('%s: %s', async (_name, change, expected) => {
      expect(await found({ dockerfile: 'COPY d /d\nRUN ls /d' }, { change })).toBe(expected);
    });

    it('its destination counts', async () => {
      expect(await found({ dockerfile: 'COPY d /d' }, { dockerfile: 'COPY d /e' })).toBe('ran');
    });

    it.each([
      ['that the mount shows', 'echo x > d/a', 'ran'],
      ['that it does not show', 'echo x > other/c', 'found'],
    ])('a file %s', async (_name, change, expected) => {
      expect(await found({ dockerfile: 'RUN --mount=source=d,target=/d ls /d' }, { change })).toBe(expected);
    });
  });

  describe('of a stage that is copied from', () => {
    it('nothing else runs again where it came out the same', async () => {
      const dockerfile = (word: string): string => `RUN : ${word}; echo same > /made
FROM busybox
COPY --from=0 /made /made
RUN cat /made`;
      expect(await found({ dockerfile: dockerfile('one') }, { dockerfile: dockerfile('two') })).toBe('ran found found');
    });
  });

  describe('a cache mount', () => {
    const step = (word: string): string =>
      `RUN --mount=type=cache,target=/c : ${word}; ls /c | wc -l > /n; touch /c/${word}`;
    /** How many files the step found there. */
    async function files(dockerfile: string, ...args: readonly string[]): Promise<string> {
      const context = bench.context(`mounts-${engine.name}`, {
        Dockerfile: `FROM busybox\n${dockerfile}\nRUN echo "there are $(cat /n)"\n`,
      });
      const { stderr } = await engine.build(['--progress=plain', ...base, ...args, context]);
      return /there are (\d+)$/m.exec(stderr)?.[1] ?? stderr;
    }

    it('outlives a step that runs again, but not --no-cache', async () => {
      expect(await files(step('one'))).toBe('0');
      expect(await files(step('two'))).toBe('1');
      expect(await files(step('three'), '--no-cache')).toBe('0');
      expect(await files(step('four'))).toBe('1');
    });
  });
});
