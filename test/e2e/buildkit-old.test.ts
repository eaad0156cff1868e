import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { buildkitBench, withDaemon } from '../support/buildkit-bench.ts';

const kit = buildkitBench('bookworm');
const { bench, build } = kit;

withDaemon('the BuildKit of Docker 20.10', () => {
  const on = (): string => `docker://${kit.dockerd.host}`;

  it('builds what it can, by other words where it must', async () => {
    const context = bench.context('old', {
      Dockerfile: `FROM ${kit.base} AS build\nCOPY --link a /linked/\nRUN --mount=type=cache,target=/c echo run > /ran\nCOPY <<E /here\ntext\nE\nFROM scratch\nCOPY --from=build /linked /ran /here /\n`,
      a: 'a',
    });
    const out = join(bench.dir, 'old-out');
    const result = await build(['--builder', on(), '-o', out, context]);
    expect(result.code, result.stderr).toBe(0);
    expect(readdirSync(out).sort()).toEqual(['a', 'here', 'ran']);
    const named = await build(['--builder', on(), '-t', 'old:1', context]);
    expect(named.code, named.stderr).toBe(0);
    expect(kit.dockerd.docker('images', '--quiet', 'old:1')).not.toBe('');
    const image = `${kit.registry.host}/old/pushed:1`;
    const pushed = await build(['--builder', on(), '-t', image, '--push', context]);
    expect(pushed.code, pushed.stderr).toBe(0);
    expect(
      execFileSync('skopeo', ['inspect', '--tls-verify=false', `docker://${image}`], { encoding: 'utf8' }),
    ).toContain('Digest');
  });

  it('says what it cannot, and where', async () => {
    const cases = [
      [
        'FROM BASE\nCOPY --chmod=u+x a /a\n',
        [],
        /2 \| >>> COPY --chmod[\s\S]*too old for this build: it lacks file\.copy\.modestring/,
      ],
      [
        'FROM BASE\nRUN echo failing; exit 7\n',
        [],
        /2 \| >>> RUN[\s\S]*failing\nerror: process "\/bin\/sh -c echo failing; exit 7" did not complete successfully: exit code: 7/,
      ],
      ['FROM BASE\nCOPY nope /a\n', [], /2 \| >>> COPY nope[\s\S]*"nope" is not in the build context/],
      ['FROM BASE\n', ['-o', 'type=oci,dest=x.tar'], /makes no output of type oci/],
      ['FROM BASE\n', ['-o', 'a', '-o', 'b'], /too old for several outputs/],
    ] as const;
    for (const [dockerfile, words, message] of cases) {
      const context = bench.context('old-errors', { Dockerfile: dockerfile.replaceAll('BASE', kit.base), a: 'a' });
      const result = await build(['--builder', on(), ...words, context]);
      expect(result.code).not.toBe(0);
      expect(result.stderr).toMatch(message);
    }
  });
});
