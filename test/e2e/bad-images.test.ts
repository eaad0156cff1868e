/** Image names that are none, with what was likely meant; images that cannot be used, with why. */
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { writeImages } from '../support/base-image.ts';
import { Bench } from '../support/cli.ts';
import { startRegistry, type TestRegistry } from '../support/registry.ts';

const bench = new Bench();
const MANIFEST = 'application/vnd.oci.image.manifest.v1+json';
let registry: TestRegistry;
let liar: Server;
/** A registry that tells of images what it likes. */
let lying = '';
/** Bytes of the gigantic manifest that were taken from it. */
let taken = 0;

beforeAll(async () => {
  registry = await startRegistry(join(bench.dir, 'registry'));
  const layout = writeImages(join(bench.dir, 'foreign'), [
    { tars: [Buffer.alloc(1024)], config: {}, architecture: 's390x' },
    { tars: [Buffer.alloc(2048)], config: {}, architecture: 'arm', variant: 'v7' },
  ]);
  registry.push(`${layout}:latest`, 'elsewhere:1');
  liar = createServer((asked, answer) => {
    if (!asked.url?.includes('/manifests/')) {
      answer.end('{}');
      return;
    }
    answer.writeHead(200, { 'content-type': MANIFEST });
    if (asked.method === 'HEAD') {
      answer.end();
      return;
    }
    const send = (): void => {
      if (answer.destroyed || taken > 256 << 20) return;
      taken += 1 << 20;
      answer.write(Buffer.alloc(1 << 20, ' '), send);
    };
    send();
  }).listen(0, '127.0.0.1');
  await new Promise((resolve) => liar.once('listening', resolve));
  lying = `127.0.0.1:${(liar.address() as AddressInfo).port}`;
});
afterAll(async () => {
  liar.close();
  liar.closeAllConnections();
  await registry.stop();
  bench.dispose();
});

const NAMES: readonly (readonly [string, string, string, string])[] = [
  ['upper case', 'Team/BusyBox:V1', 'must be lowercase', 'did you mean team/busybox:V1?'],
  ['a URL', 'http://127.0.0.1:5000/app', 'it is a URL', 'did you mean 127.0.0.1:5000/app?'],
  ['a page of Docker Hub', 'https://hub.docker.com/_/alpine', 'it is a URL', 'did you mean alpine?'],
  ['a page of a user there', 'https://hub.docker.com/r/a/b/tags?x=1', 'it is a URL', 'did you mean a/b?'],
  ['a colon without a tag', 'busybox:', 'no tag follows the colon', 'did you mean busybox, or busybox:latest?'],
  ['a digest cut short', `busybox@sha256:${'a'.repeat(12)}`, 'cut short: 12 hex digits of 64', 'copy the digest whole'],
  ['a digest that is none', 'busybox@sha256:short', '"sha256:short" is not a digest', '64 lower-case hex digits'],
  ['a tag after @', 'busybox@1.36', '"1.36" is not a digest', 'did you mean busybox:1.36?'],
  ['a space around', ' busybox ', 'it contains a space', 'did you mean busybox?'],
  ['a space within', 'busy box', 'it contains a space', '[HOST[:PORT]/]NAME[:TAG]'],
  ['a port that is none', 'host:port/app', '"host:port" is not a registry host', '[HOST[:PORT]/]NAME[:TAG]'],
  ['two tags', 'app:1:2', '"1:2" is not a tag', 'a tag has up to 128'],
  ['an image ID', 'a'.repeat(64), 'an image ID, not a name', `name@sha256:${'a'.repeat(64)}`],
  ['nothing', '', 'it is empty', 'alpine:3'],
];

function refuses(stderr: string, [, name, reason, meaning]: (typeof NAMES)[number]): void {
  expect(stderr).toContain(`error: invalid image reference ${JSON.stringify(name)}: `);
  expect(stderr).toContain(reason);
  expect(stderr.split('hint: ')[1]).toContain(meaning);
  expect(stderr.match(/^error: /gm)).toHaveLength(1);
}

describe('a name that is not one', () => {
  it.each(NAMES)('%s: pull and tag say what was meant', async (...row) => {
    for (const args of [
      ['pull', row[1]],
      ['tag', 'known', row[1]],
    ]) {
      const result = await bench.run(args);
      expect(result.code, result.stderr).toBe(2);
      refuses(result.stderr, row);
    }
  });

  // `-t ''` and a FROM with a space in it are mistakes of another kind.
  it.each(NAMES.filter(([, name]) => name !== '' && !name.includes(' ')))('%s: so does build', async (...row) => {
    const [what, name] = row;
    const context = bench.context(what, { Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    const named = await bench.run(['build', '-t', name, context]);
    expect(named.code).toBe(2);
    refuses(named.stderr, row);
    const from = await bench.run(['build', bench.context(what, { Dockerfile: `FROM ${name}\n` })]);
    expect(from.code).toBe(1);
    refuses(from.stderr, row);
    expect(from.stderr).toContain('Dockerfile:1');
  });
});

describe('--platform', () => {
  it.each([
    ['linux/foo', '"linux/foo" is no platform', 'did you mean linux/'],
    ['amd46', '"amd46" is no platform', 'did you mean linux/amd64?'],
    ['linux/amd64/v1/x', '"linux/amd64/v1/x" is no platform', 'linux/arm/v7'],
    ['linux/', '"linux/" is no platform', 'hint: '],
  ])('%s is unknown, whatever command it is for', async (platform, reason, hint) => {
    const context = bench.context('platform', { Dockerfile: 'FROM scratch\nLABEL a=b\n' });
    for (const args of [
      ['build', context],
      ['pull', `${registry.host}/library/elsewhere:1`],
    ]) {
      const result = await bench.run([args[0] ?? '', '--platform', platform, ...args.slice(1)]);
      expect(result.code, result.stderr).toBe(2);
      for (const text of [reason, hint]) expect(result.stderr).toContain(text);
    }
  });

  it('that an index does not have: those it has are listed', async () => {
    const name = `${registry.host}/library/elsewhere:1`;
    const context = bench.context('elsewhere', { Dockerfile: `FROM ${name}\nRUN true\n` });
    for (const args of [
      ['pull', '--platform', 'linux/amd64', name],
      ['build', '--platform', 'linux/amd64', context],
    ]) {
      const result = await bench.run(args);
      expect(result.code, result.stderr).toBe(4);
      for (const text of [name, 'linux/amd64', 'it has linux/s390x, linux/arm/v7'])
        expect(result.stderr).toContain(text);
    }
  });
});

it('a gigantic manifest is given up early, and nothing of it stays', async () => {
  const context = bench.context('gigantic', { Dockerfile: `FROM ${lying}/huge:1\n` });
  for (const args of [
    ['pull', `${lying}/huge:1`],
    ['build', context],
  ]) {
    taken = 0;
    const result = await bench.run(args, { env: { SLIPWAY_ROOT: join(bench.dir, 'gigantic-state') } });
    expect(result.code, result.stderr).toBe(4);
    expect(result.stderr).toContain(`${lying}/huge`);
    expect(result.stderr).toMatch(/larger than|more than|too large/);
    expect(taken).toBeLessThan(64 << 20);
  }
  const temporary = join(bench.dir, 'gigantic-state/tmp');
  expect(existsSync(temporary) ? readdirSync(temporary) : []).toEqual([]);
});
