/**
 * A secret's value reaches no layer, no configuration, no history, no cache record, no log; neither do credentials in a
 * URL (the class of CVE-2023-26054).
 */
import { once } from 'node:events';
import { readFileSync, readdirSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { gunzipSync, inflateRawSync } from 'node:zlib';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { busyboxLayout } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { onBothEngines } from '../support/engines.ts';

const CANARY = 'canary-3f9a1c77e2';

const bench = new Bench();
let base = '';
beforeAll(() => {
  base = `busybox=oci-layout://${busyboxLayout(bench.dir)}`;
});
afterAll(() => bench.dispose());

/** Files below a directory that hold the canary, gzip undone. */
function leaks(directory: string): readonly string[] {
  return readdirSync(directory, { withFileTypes: true }).flatMap((entry) => {
    const path = join(directory, entry.name);
    if (entry.isDirectory()) return leaks(path);
    if (!entry.isFile()) return [];
    const data = readFileSync(path);
    const plain = data[0] === 0x1f && data[1] === 0x8b ? gunzipSync(data) : data;
    return plain.includes(CANARY) ? [path] : [];
  });
}

onBothEngines(bench, (engine) => {
  it('secret mounts leave nothing behind, whether the step succeeds or fails', async () => {
    const context = bench.context('secret', {
      Dockerfile: `FROM busybox
RUN --mount=type=secret,id=token test "$(cat /run/secrets/token)" = ${CANARY.slice(0, 6)}"${CANARY.slice(6)}"
RUN --mount=type=secret,id=token,env=TOKEN test -n "$TOKEN" && echo ok > /ok
RUN --mount=type=secret,id=token,target=/deep/er/token test -s /deep/er/token
`,
    });
    const layout = join(bench.dir, `layout-${engine.name}`);
    const args = ['--build-context', base, '--secret', 'id=token,env=SECRET_VALUE', '--progress', 'plain'];
    const state = join(bench.dir, `state-${engine.name}`);
    const env = { SECRET_VALUE: CANARY, SLIPWAY_ROOT: state };
    const built = await engine.build([...args, '-t', 'secret', '-o', `type=oci,tar=false,dest=${layout}`, context], {
      env,
    });
    expect(built, built.stderr).toMatchObject({ code: 0 });
    expect(built.stderr).not.toContain(CANARY);

    bench.context('secret', {
      Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=token test -z "$(cat /run/secrets/token)"\n',
    });
    const failed = await engine.build([...args, context], { env });
    expect(failed.code).toBe(1);
    expect(failed.stderr).not.toContain(CANARY);

    expect(leaks(layout)).toEqual([]);
    expect(leaks(state)).toEqual([]);
  });

  it('a secret that a step prints is not in the log', async () => {
    const context = bench.context('printed', {
      Dockerfile: 'FROM busybox\nRUN --mount=type=secret,id=token cat /run/secrets/token; exit 3\n',
    });
    const result = await engine.build(
      ['--build-context', base, '--secret', 'id=token,env=SECRET_VALUE', '--progress', 'plain', context],
      {
        env: { SECRET_VALUE: CANARY },
      },
    );
    expect(result.code).toBe(1);
    expect(result.stderr).not.toContain(CANARY);
  });

  it('a build argument that the proxies use is not in the image', async () => {
    const context = bench.context('proxy', { Dockerfile: 'FROM busybox\nRUN test -n "$HTTP_PROXY"\n' });
    const layout = join(bench.dir, `proxy-layout-${engine.name}`);
    const result = await engine.build([
      '--build-context',
      base,
      '--build-arg',
      `HTTP_PROXY=http://user:${CANARY}@127.0.0.1:1`,
      '-o',
      `type=oci,tar=false,dest=${layout}`,
      context,
    ]);
    expect(result, result.stderr).toMatchObject({ code: 0 });
    expect(leaks(layout)).toEqual([]);
  });

  it('credentials in URLs are neither shown nor kept, but where the user put them', async () => {
    const server = createServer((_, response) => response.end('file'));
    await once(server.listen(0, '127.0.0.1'), 'listening');
    const url = `http://user:${CANARY}@127.0.0.1:${(server.address() as AddressInfo).port}/file`;
    const context = bench.context('kept', {
      Dockerfile: `FROM busybox\nARG URL\nRUN echo "$URL" > /dev/null\nADD $URL /file\nADD ${url} /file2\n`,
    });
    const state = join(bench.dir, `state-kept-${engine.name}`);
    const arg = ['--build-arg', `URL=${url}`, '--build-arg', `HTTPS_PROXY=${url}`];
    const args = ['--build-context', base, ...arg, '--progress', 'plain', '--explain', context];
    try {
      for (const ran of ['first', 'again']) {
        const built = await engine.build(args, { env: { SLIPWAY_ROOT: state } });
        expect(built, `${ran}: ${built.stderr}`).toMatchObject({ code: 0 });
        expect(built.stderr).not.toContain(CANARY);
      }
    } finally {
      server.close();
    }
    expect(leaks(state)).toEqual([]);
    const database = new DatabaseSync(join(state, 'db.sqlite'), { readOnly: true });
    const graphs = database.prepare('SELECT data FROM build_graph').all() as { data: Uint8Array }[];
    database.close();
    expect(graphs).not.toEqual([]);
    for (const { data } of graphs) expect(inflateRawSync(data).toString()).not.toContain(CANARY);
  });

  it('credentials in a URL are not shown when it fails', async () => {
    const context = bench.context('url', { Dockerfile: `ARG URL\nFROM busybox\nARG URL\nADD $URL /file\n` });
    const result = await engine.build([
      '--build-context',
      base,
      '--build-arg',
      `URL=http://user:${CANARY}@127.0.0.1:9/file`,
      '--progress',
      'plain',
      context,
    ]);
    expect(result.code).not.toBe(0);
    expect(
      result.stderr
        .split('\n')
        .filter((line) => line.startsWith('error:'))
        .join(),
    ).not.toContain(CANARY);
  });
});
