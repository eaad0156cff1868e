/** Mistakes in Dockerfiles, and sources that are not what they should be: each is refused, or warned of, in so many words. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines, type TestEngine } from '../support/engines.ts';

const bench = new Bench({ SSH_AUTH_SOCK: '' });
let base: readonly string[] = [];
let web: Server;
let url = '';

beforeAll(async () => {
  base = ['--build-context', `busybox=oci-layout://${busyboxLayout(bench.dir)}`];
  web = createServer((request, response) => {
    const to = new URL(request.url ?? '/', 'http://x').searchParams.get('to');
    if (to === null) response.end('page');
    else response.writeHead(302, { location: to }).end();
  });
  await new Promise<void>((resolve) => web.listen(0, '127.0.0.1', resolve));
  url = `http://127.0.0.1:${(web.address() as AddressInfo).port}`;
});
afterAll(() => {
  web.close();
  bench.dispose();
});

let contexts = 0;

/** `@url` in the lines is the web server's. */
async function buildOn(engine: TestEngine, lines: string) {
  const dockerfile = `FROM busybox\n${lines.replaceAll('@url', url)}\n`;
  const context = bench.context(`context-${contexts++}`, { Dockerfile: dockerfile, a: 'a' });
  return await engine.build(['--no-cache', '--progress=plain', ...base, context]);
}

const NOUGHT = '0'.repeat(64);

onBothEngines(bench, (engine) => {
  const build = async (lines: string) => await buildOn(engine, lines);

  describe('is refused, at its line', () => {
    it.each([
      ['an unknown flag', 'COPY --chonw=1 a /', ['unknown flag --chonw of COPY', 'did you mean --chown?']],
      ['a flag of another instruction', 'RUN --chown=1 true', ['--chown of RUN', '--chown is a flag of ADD and COPY']],
      ['a flag of RUN', 'COPY --mount=type=cache,target=/x a /', ['--mount of COPY', '--mount is a flag of RUN']],
      ['a flag of COPY on ADD', 'ADD --from=x a /', ['--from of ADD', '--from is a flag of COPY']],
      ['a flag where there are none', 'ENV --from=x a=b', ['--from of ENV', 'ENV takes no flags']],
      ['a heredoc that is left open', 'RUN <<EOF\ntrue', ['heredoc EOF', 'only EOF']],
      ['the second of two heredocs', 'COPY <<A <<B /d/\n1\nA\n2', ['heredoc B', 'only B']],
      ['two heredocs that are left open', 'RUN cat <<A <<B\n1\n2', ['heredoc A', 'only A']],
      ['a JSON form with a number', 'CMD ["a", 1]', ['JSON form of CMD takes strings only']],
      ['a duration without a unit', 'HEALTHCHECK --interval=5 CMD x', ['--interval=5 is no duration', '30s']],
      ['a duration that is too short', 'HEALTHCHECK --timeout=1us CMD x', ['--timeout cannot be less than 1ms']],
      ['a secret that is required', 'RUN --mount=type=secret,id=tok,required true', ['secret tok', '--secret id=tok,']],
      ['an agent that is required', 'RUN --mount=type=ssh,required true', ['SSH key "default"', '--ssh default']],
      ['a key that is required', 'RUN --mount=type=ssh,id=deploy,required true', ['SSH key "deploy"', '--ssh deploy']],
      ['a wrong checksum', `ADD --checksum=sha256:${NOUGHT} @url/x /x`, ['not what --checksum says', NOUGHT]],
      ['a checksum that is none', 'ADD --checksum=md5:1 @url/x /x', ['--checksum']],
      ['a git ref that is an option', 'ADD https://127.0.0.1:1/r.git#--upload-pack=touch /x', ['is no git ref']],
      ['a git ref in a query that is one', 'ADD git://127.0.0.1:1/r.git?ref=-oProxy=x /x', ['is no git ref']],
      ['a redirect to a file', 'ADD @url/?to=file:///etc/passwd /x', ['redirect', 'file:']],
      ['a redirect to a socket', 'ADD @url/?to=unix:/run/docker.sock /x', ['redirect', 'unix:']],
      ['a redirect to another protocol', 'ADD @url/?to=ftp://127.0.0.1/x /x', ['redirect', 'ftp:']],
      ['a mount onto the root', 'RUN --mount=type=cache,target=/a/../.. true', ['cannot have the target']],
      ['an unknown kind of mount', 'RUN --mount=type=cahce,target=/x true', ['cahce', 'cache']],
      ['an unknown key of a mount', 'RUN --mount=type=cache,tagret=/x true', ['tagret', 'target']],
    ] as const)('%s', async (_name, lines, said) => {
      const { code, stderr } = await build(lines);
      expect(code).not.toBe(0);
      expect(stderr).toContain('Dockerfile:2');
      expect(stderr.match(/^error: /gm), stderr).toHaveLength(1);
      for (const text of said) expect(stderr).toContain(text);
      expect(stderr).not.toMatch(/^ {4}at /m);
    });
  });

  describe('is taken', () => {
    it('a JSON form that is none, as a command, with a warning', async () => {
      const { code, stderr } = await build("CMD ['a', 'b']");
      expect([code, stderr]).toEqual([0, expect.stringMatching(/ - JSONArgsRecommended: .*\(line 2\)/)]);
    });

    it.each([
      ['secret', 'RUN --mount=type=secret,id=tok test ! -e /run/secrets/tok'],
      ['secret in a variable', 'RUN --mount=type=secret,id=tok,env=TOK test -z "$TOK"'],
      ['agent', 'RUN --mount=type=ssh test ! -e "$SSH_AUTH_SOCK"'],
    ])('a %s that is not given and not required: it is not there', async (_name, lines) => {
      const { code, stderr } = await build(lines);
      expect(code, stderr).toBe(0);
    });

    it('a mount target that climbs: it ends at the root of the step', async () => {
      const { code, stderr } = await build(
        'RUN --mount=type=tmpfs,target=/../../../tmp/slipway-climbs/x touch /tmp/slipway-climbs/x/y',
      );
      expect(code, stderr).toBe(0);
      expect(existsSync('/tmp/slipway-climbs')).toBe(false);
    });

    it('a cache id that climbs: it is a name like any other', async () => {
      const id = '../../../../slipway-climbs';
      const { code, stderr } = await build(
        `RUN --mount=type=cache,target=/c,id=${id} touch /c/f\nRUN --mount=type=cache,target=/d,id=${id} test -e /d/f`,
      );
      expect(code, stderr).toBe(0);
      for (let up = bench.dir; up !== '/'; up = join(up, '..'))
        expect(existsSync(join(up, 'slipway-climbs'))).toBe(false);
    });
  });
});
