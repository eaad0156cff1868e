import { mkdtempSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { FileEntry, Layer } from '../../../contracts/index.ts';
import { snapshotOf } from '../../../image/index.ts';
import { META, openFixture, type Fixture } from '../../testing/fixture.ts';
import { parseApkInstalled } from './apk.ts';
import { parseDpkgStatus } from './dpkg.ts';
import { goPackages, readGoBuildInfo } from './go-build-info.ts';
import { isLicenseExpression } from './license.ts';
import { isNpmManifest, parseNpmManifest } from './npm.ts';
import { isPythonMetadata, parsePythonMetadata } from './python.ts';
import { parseRpmHeader, readRpmDatabase } from './rpm.ts';
import { takeInventory } from './scan.ts';
import { spdx } from './spdx.ts';

const deb = (name: string, version: string, status = 'install ok installed') =>
  `Package: ${name}\nStatus: ${status}\nMaintainer: Some Team <team@example.org>\nArchitecture: amd64\nVersion: ${version}\nDescription: short\n long\n .\n more\n\n`;

const APK = `C:Q1abc=
P:busybox
V:1.36.1-r2
A:x86_64
L:GPL-2.0-only
o:busybox
m:Somebody <a@b>
F:bin
R:busybox
P:not-a-package

P:ssl_client
V:1.36.1-r2
A:x86_64
L:GPL-2.0-only
o:busybox
`;

/** The least of an ELF file that has a build information section. */
function goProgram(bits: 32 | 64, order: 'LE' | 'BE', version: string, modules: string): Buffer {
  const is64 = bits === 64;
  const integer = (size: 2 | 4 | 8, value: number): Buffer => {
    const bytes = Buffer.alloc(size);
    if (order === 'LE') bytes.writeUIntLE(value, 0, Math.min(size, 6));
    else bytes.writeUIntBE(value, Math.max(0, size - 6), Math.min(size, 6));
    return bytes;
  };
  const word = (value: number): Buffer => integer(is64 ? 8 : 4, value);
  const text = (value: string): Buffer => {
    const bytes = Buffer.from(value);
    const { length } = bytes;
    return Buffer.concat([
      length < 128 ? Buffer.from([length]) : Buffer.from([(length & 127) | 128, length >> 7]),
      bytes,
    ]);
  };
  const edge = 'x'.repeat(16);
  const info = Buffer.concat([
    Buffer.from('\xff Go buildinf:\x08\x02', 'latin1'),
    Buffer.alloc(16),
    text(version),
    text(`${edge}${modules}${edge}`),
  ]);
  const names = Buffer.from('\0.shstrtab\0.go.buildinfo\0');
  const headSize = is64 ? 64 : 52;
  const section = (name: number, offset: number, size: number): Buffer =>
    Buffer.concat([
      integer(4, name),
      integer(4, 1),
      word(0),
      word(0),
      word(offset),
      word(size),
      Buffer.alloc(is64 ? 24 : 16),
    ]);
  const infoAt = headSize;
  const namesAt = infoAt + info.length;
  const tableAt = namesAt + names.length;
  const table = [section(0, 0, 0), section(1, namesAt, names.length), section(11, infoAt, info.length)];
  const head = Buffer.concat([
    Buffer.from([0x7f, 0x45, 0x4c, 0x46, is64 ? 2 : 1, order === 'LE' ? 1 : 2, 1]),
    Buffer.alloc(9),
    Buffer.alloc(8),
    word(0),
    word(0),
    word(tableAt),
    Buffer.alloc(10),
    integer(2, table[0]?.length ?? 0),
    integer(2, table.length),
    integer(2, 1),
  ]);
  return Buffer.concat([head, info, names, ...table]);
}

describe('package databases', () => {
  it('dpkg: what is installed', () => {
    const text = deb('libc6', '2.36-9') + deb('gone', '1', 'deinstall ok config-files') + deb('a', '1:2.0+x~1');
    expect(parseDpkgStatus(text, 'p').map(({ name, version }) => [name, version])).toEqual([
      ['libc6', '2.36-9'],
      ['a', '1:2.0+x~1'],
    ]);
    expect(parseDpkgStatus('Package: base-files\nVersion: 12\n', 'p')).toMatchObject([{ name: 'base-files' }]);
  });

  it('apk: names, origins, licences; nothing out of the list of files', () => {
    expect(parseApkInstalled(APK, 'p')).toMatchObject([
      { name: 'busybox', version: '1.36.1-r2', license: 'GPL-2.0-only', source: undefined },
      { name: 'ssl_client', source: 'busybox' },
    ]);
    expect(parseApkInstalled(APK, 'p')).toHaveLength(2);
  });

  it.each([
    ['app/node_modules/a/package.json', true],
    ['node_modules/@s/a/package.json', true],
    ['app/node_modules/a/node_modules/b/package.json', true],
    ['app/package.json', false],
    ['node_modules/a/lib/package.json', false],
    ['node_modules/.bin/package.json', false],
  ])('npm: %s', (path, wanted) => {
    expect(isNpmManifest(path)).toBe(wanted);
  });

  it.each([
    ['{"name":"a","version":"1.0.0","license":"MIT"}', [{ name: 'a', version: '1.0.0', license: 'MIT' }]],
    ['{"name":"a","version":"1","license":{"type":"ISC"},"author":{"name":"x"}}', [{ license: 'ISC', supplier: 'x' }]],
    ['{"type":"module"}', []],
    ['{"name":1,"version":"1"}', []],
    ['null', []],
    ['{', []],
  ])('npm manifest %s', (text, wanted) => {
    expect(parseNpmManifest(text, 'p')).toMatchObject(wanted);
  });

  it('python: the head of METADATA, not its description', () => {
    const text = 'Metadata-Version: 2.1\nName: Flask_Thing\nVersion: 3.0\nLicense: BSD-3-Clause\n\nName: other\n';
    expect(parsePythonMetadata(text, 'p')).toMatchObject([
      { name: 'Flask_Thing', version: '3.0', license: 'BSD-3-Clause' },
    ]);
    expect(isPythonMetadata('usr/lib/python3/site-packages/flask-3.0.dist-info/METADATA')).toBe(true);
    expect(isPythonMetadata('usr/lib/METADATA')).toBe(false);
  });

  it('reads the version of a real Go program', () => {
    const program = readFileSync('/usr/bin/skopeo');
    const info = readGoBuildInfo((offset, length) => program.subarray(offset, offset + length));
    expect(info?.goVersion).toMatch(/^go1\.\d+/);
  });

  it.each([
    [64, 'LE'],
    [64, 'BE'],
    [32, 'LE'],
    [32, 'BE'],
  ] as const)('reads the modules of a Go program of %d bits, %s', (bits, order) => {
    const modules = `path\tx/app\nmod\tx/app\tv1.2.3\th1:a\ndep\ty/lib\tv0.1.0\th1:b\n${'build\ta=b\n'.repeat(20)}`;
    const program = goProgram(bits, order, 'go1.24.1 X:x', modules);
    const info = readGoBuildInfo((offset, length) => program.subarray(offset, offset + length));
    expect(info).toEqual({ goVersion: 'go1.24.1 X:x', modules });
    expect(goPackages(info ?? { goVersion: '', modules: '' }, 'p').map(({ name, version }) => [name, version])).toEqual(
      [
        ['x/app', 'v1.2.3'],
        ['y/lib', 'v0.1.0'],
        ['stdlib', '1.24.1'],
      ],
    );
  });

  it('takes the replacement of a module', () => {
    const modules = 'path\tcmd\nmod\tcmd\t(devel)\t\ndep\ta/b\tv1.0.0\th1:x\n=>\tc/d\tv2.0.0\th1:y\nbuild\tx=y\n';
    expect(
      goPackages({ goVersion: 'go1.22.1', modules }, 'p').map(({ name, version }) => `${name}@${version}`),
    ).toEqual(['cmd@', 'c/d@v2.0.0', 'stdlib@1.22.1']);
  });

  it.each([0, 3, 40, 63, 64, 4096])('takes a program that ends after %d bytes for none of Go', (length) => {
    const program = readFileSync('/usr/bin/skopeo').subarray(0, length);
    expect(readGoBuildInfo((offset, size) => program.subarray(offset, offset + size))).toBeUndefined();
  });

  it('survives any byte of the header being wrong', () => {
    const program = readFileSync('/usr/bin/skopeo');
    for (let at = 4; at < 64; at++) {
      const head = Buffer.from(program.subarray(0, 64));
      head[at] = (head[at] ?? 0) ^ 0xff;
      const readAt = (offset: number, length: number): Buffer => {
        if (!Number.isSafeInteger(offset)) return Buffer.alloc(0);
        return offset === 0 ? head.subarray(0, length) : program.subarray(offset, offset + length);
      };
      expect(() => readGoBuildInfo(readAt)).not.toThrow();
    }
  });
});

it.each([
  ['MIT', true],
  ['MIT OR Apache-2.0', true],
  ['(MIT AND ISC) OR Zlib', true],
  ['GPL-2.0-only WITH Classpath-exception-2.0', true],
  ['MIT License', false],
  ['BSD', false],
  ['(MIT', false],
  ['MIT OR', false],
  ['', false],
])('licence expression %j: %s', (text, wanted) => {
  expect(isLicenseExpression(text)).toBe(wanted);
});

describe('inventory', () => {
  let fixture: Fixture;
  beforeAll(async () => {
    fixture = await openFixture();
  });
  afterAll(() => fixture.close());

  it('finds packages, and the step that brought each', async () => {
    const base = fixture.layer({
      'usr/lib/os-release': 'ID=debian\nVERSION_ID="12"\n',
      'var/lib/dpkg/status': deb('libc6', '2.36') + deb('bash', '5.2'),
    });
    const installed = fixture.layer({
      'var/lib/dpkg/status': deb('libc6', '2.36') + deb('bash', '5.3') + deb('curl', '8.0'),
      'app/node_modules/left/package.json': '{"name":"left","version":"1.0.0","license":"WTF"}',
      'var/lib/rpm/rpmdb.sqlite': 'x',
    });
    const copied = fixture.layer({ 'app/node_modules/left/package.json': '{"name":"left","version":"1.0.1"}' });
    const snapshot = snapshotOf([base, installed, copied]);
    const steps = new Map([[installed.id, { name: '[2/3] RUN apt', line: 'Dockerfile:2', stage: 'app' }]]);
    const inventory = await takeInventory(snapshot, steps);
    const line = (one: (typeof inventory.packages)[number]) =>
      `${one.name} ${one.version} ${one.origin?.layer} ${one.origin?.step?.line}`;
    expect(inventory.packages.map(line)).toEqual([
      'bash 5.3 1 Dockerfile:2',
      'curl 8.0 1 Dockerfile:2',
      'libc6 2.36 0 undefined',
      'left 1.0.1 2 undefined',
    ]);
    expect(inventory.distribution).toEqual({ id: 'debian', version: '12' });
    expect(inventory.notes).toEqual([expect.stringContaining('/rpmdb.sqlite')]);

    const options = {
      name: 'app',
      tool: 'slipway-1',
      created: 1_700_000_000_500,
      layers: ['sha256:a', 'sha256:b', 'sha256:c'],
    };
    const { type, content } = spdx(inventory, options);
    expect(type).toBe('https://spdx.dev/Document');
    const { packages } = content as { packages: readonly Record<string, unknown>[] };
    expect(packages.find(({ name }) => name === 'curl')).toMatchObject({
      versionInfo: '8.0',
      supplier: 'Organization: Some Team (team@example.org)',
      externalRefs: [{ referenceLocator: 'pkg:deb/debian/curl@8.0?arch=amd64&distro=debian-12' }],
      comment: 'Dockerfile:2 [2/3] RUN apt; stage app; layer 2 of 3, sha256:b',
    });
    const ids = packages.map(({ SPDXID }) => SPDXID);
    expect(new Set(ids).size).toBe(ids.length);
    expect(content).toMatchObject({ spdxVersion: 'SPDX-2.3', creationInfo: { created: '2023-11-14T22:13:20Z' } });
    expect(spdx(inventory, options)).toEqual({ type, content });
  });

  it('reads a Go program in place', async () => {
    const path = '/usr/bin/skopeo';
    const entry: FileEntry = { type: 'file', ...META, mode: 0o755, size: statSync(path).size };
    const small = fixture.layer({ 'bin/app': entry });
    const layer: Layer = { ...small, locate: async (paths) => Array.from(paths, () => ({ kind: 'file', path })) };
    const { packages } = await takeInventory(snapshotOf([layer]));
    expect(packages).toEqual(
      expect.arrayContaining([
        expect.objectContaining({ type: 'golang', name: 'stdlib', origin: { layer: 0, step: undefined } }),
      ]),
    );
  });

  it('is empty for an empty image', async () => {
    expect(await takeInventory(snapshotOf([]))).toEqual({ distribution: undefined, packages: [], notes: [] });
  });
});

describe('rpm', () => {
  /** A header as rpm keeps it: strings, and integers by their tag. */
  function header(fields: Readonly<Record<number, string | number>>): Buffer {
    const index: Buffer[] = [];
    const data: Buffer[] = [];
    let at = 0;
    for (const [tag, value] of Object.entries(fields)) {
      const entry = Buffer.alloc(16);
      const bytes = typeof value === 'string' ? Buffer.from(`${value}\0`) : Buffer.alloc(4);
      if (typeof value === 'number') bytes.writeUInt32BE(value);
      [Number(tag), typeof value === 'string' ? 6 : 4, at, 1].forEach((word, i) => entry.writeUInt32BE(word, i * 4));
      index.push(entry);
      data.push(bytes);
      at += bytes.length;
    }
    const counts = Buffer.alloc(8);
    counts.writeUInt32BE(index.length, 0);
    counts.writeUInt32BE(at, 4);
    return Buffer.concat([counts, ...index, ...data]);
  }
  const BASH = {
    1000: 'bash',
    1001: '5.2.26',
    1002: '3.fc40',
    1014: 'GPL-3.0-or-later',
    1022: 'x86_64',
    1044: 'bash-5.2.26-3.fc40.src.rpm',
  };

  it('headers are read, damaged ones passed over', () => {
    expect(parseRpmHeader(header({ ...BASH, 1003: 1 }), 'x')).toEqual([
      expect.objectContaining({
        type: 'rpm',
        name: 'bash',
        version: '5.2.26-3.fc40',
        epoch: '1',
        architecture: 'x86_64',
      }),
    ]);
    expect(parseRpmHeader(header({ ...BASH, 1000: 'gpg-pubkey' }), 'x')).toEqual([]);
    const whole = header(BASH);
    for (const bytes of [Buffer.alloc(0), Buffer.alloc(8, 0xff), whole.subarray(0, 20), whole.subarray(0, -40)])
      expect(() => parseRpmHeader(bytes, 'x')).not.toThrow();
  });

  it('the database is read, in the journal mode of rpm, and nothing is written beside it', () => {
    const dir = mkdtempSync(join(tmpdir(), 'slipway-rpm-'));
    const file = join(dir, 'rpmdb.sqlite');
    const database = new DatabaseSync(file);
    database.exec(
      "PRAGMA journal_mode = WAL; CREATE TABLE 'Packages' (hnum INTEGER PRIMARY KEY AUTOINCREMENT, blob BLOB NOT NULL)",
    );
    for (const fields of [BASH, { ...BASH, 1000: 'bash-doc', 1022: 'noarch' }])
      database.prepare('INSERT INTO Packages (blob) VALUES (?)').run(header(fields));
    database.close();
    const found = readRpmDatabase(file, 'usr/lib/sysimage/rpm/rpmdb.sqlite');
    expect(found?.map(({ name }) => name)).toEqual(['bash', 'bash-doc']);
    expect(readdirSync(dir)).toEqual(['rpmdb.sqlite']);
    const inventory = { distribution: { id: 'fedora', version: '40' }, packages: found ?? [], notes: [] };
    const { content } = spdx(inventory, { name: 'x', layers: [], created: 0 } as unknown as Parameters<typeof spdx>[1]);
    expect(JSON.stringify(content)).toContain('pkg:rpm/fedora/bash@5.2.26-3.fc40?arch=x86_64&distro=fedora-40');
    rmSync(dir, { recursive: true });
    expect(readRpmDatabase('/etc/passwd', 'x')).toBeUndefined();
  });
});
