import { expect, test } from 'vitest';
import type { FileActionKind, Mount, Op, Vertex } from '../llb/index.ts';
import { vertex } from '../llb/index.ts';
import { makeKey } from './keys.ts';
import { opIdentity } from './op-identity.ts';
import { copyAction, execMeta, image, out, run } from './testing/graph.ts';

type ExecOp = Op & { kind: 'exec' };

const key = (v: Vertex, byContent: (input: number) => boolean = () => false) =>
  makeKey('definition', [opIdentity(v, byContent)]);

const base = run(out(image('alpine')), 'true');
const baseOp = base.op as ExecOp;
const root: Mount = baseOp.mounts[0]!;

function exec(change: Partial<ExecOp> = {}, meta: Partial<ExecOp['meta']> = {}): Vertex {
  const op: ExecOp = { ...baseOp, ...change, meta: { ...execMeta, ...meta } };
  return vertex(op, [out(image('alpine'))], { platform: { os: 'linux', architecture: 'amd64' } });
}

function mounted(mount: Partial<Mount> & Pick<Mount, 'type'>): Vertex {
  return exec({ mounts: [root, { input: -1, dest: '/m', output: -1, readonly: false, ...mount }] });
}

const cache = { kind: 'cache', id: 'x', sharing: 'shared' } as const;
const secret = { kind: 'secret', id: 'x', uid: 0, gid: 0, mode: 0o400, optional: false } as const;
const ssh = { kind: 'ssh', id: 'x', uid: 0, gid: 0, mode: 0o600, optional: false } as const;
const tmpfs = { kind: 'tmpfs', size: 0 } as const;

test.each<[string, Vertex, Vertex]>([
  ['args', exec(), exec({}, { args: ['false'] })],
  ['args, where words end', exec({}, { args: ['a', 'b'] }), exec({}, { args: ['a b'] })],
  ['env', exec(), exec({}, { env: ['PATH=/bin', 'A=1'] })],
  ['env against args', exec({}, { args: ['a'], env: [] }), exec({}, { args: [], env: ['a'] })],
  ['cwd', exec(), exec({}, { cwd: '/src' })],
  ['user', exec(), exec({}, { user: 'www' })],
  ['a hostname', exec(), exec({}, { hostname: 'h' })],
  ['names of extra hosts', exec(), exec({}, { extraHosts: [{ host: 'h', ip: '10.0.0.1' }] })],
  ['valid exit codes', exec(), exec({}, { validExitCodes: [0, 1] })],
  ['mount stubs', exec(), exec({}, { removeMountStubsRecursive: false })],
  ['network', exec(), exec({ network: 'none' })],
  ['security', exec(), exec({ security: 'insecure' })],
  ['secret env', exec(), exec({ secretEnv: [{ id: 'a', name: 'A', optional: false }] })],
  ['devices', exec(), exec({ cdiDevices: [{ name: 'gpu', optional: false }] })],
  ['platform', exec(), vertex(exec().op, exec().inputs, { platform: { os: 'linux', architecture: 'arm64' } })],
  ['a mount', exec(), mounted({ type: tmpfs })],
  ['mount target', mounted({ type: cache }), mounted({ type: cache, dest: '/n' })],
  ['mount kind', mounted({ type: cache }), mounted({ type: tmpfs })],
  ['mount readonly', mounted({ type: cache }), mounted({ type: cache, readonly: true })],
  ['readonly root', exec(), exec({ mounts: [{ ...root, readonly: true }] })],
  ['bind selector', mounted({ type: root.type, input: 0 }), mounted({ type: root.type, input: 0, selector: '/a' })],
  ['what seeds a cache', mounted({ type: cache }), mounted({ type: cache, input: 0 })],
  ['seed selector', mounted({ type: cache, input: 0 }), mounted({ type: cache, input: 0, selector: '/a' })],
  ['tmpfs size', mounted({ type: tmpfs }), mounted({ type: { ...tmpfs, size: 1 } })],
  ['secret id', mounted({ type: secret }), mounted({ type: { ...secret, id: 'y' } })],
  ['secret mode', mounted({ type: secret }), mounted({ type: { ...secret, mode: 0o444 } })],
  ['ssh owner', mounted({ type: ssh }), mounted({ type: { ...ssh, uid: 1 } })],
])('%s count for a command', (_, a, b) => {
  expect(key(a)).not.toBe(key(b));
});

test.each<[string, Vertex, Vertex]>([
  [
    'addresses of extra hosts',
    exec({}, { extraHosts: [{ host: 'h', ip: '1.1.1.1' }] }),
    exec({}, { extraHosts: [{ host: 'h', ip: '2.2.2.2' }] }),
  ],
  ['proxies', exec(), exec({}, { proxyEnv: { httpProxy: 'http://p' } })],
  ['ulimits', exec(), exec({}, { ulimits: [{ name: 'nofile', soft: 1, hard: 1 }] })],
  ['cgroups', exec(), exec({}, { cgroupParent: '/x' })],
  ['which cache it is', mounted({ type: cache }), mounted({ type: { ...cache, id: 'y', sharing: 'locked' } })],
  ['which agent it is', mounted({ type: ssh }), mounted({ type: { ...ssh, id: 'y' } })],
  ['content cache', mounted({ type: cache }), mounted({ type: cache, contentCache: 'off' })],
])('%s do not count for a command', (_, a, b) => {
  expect(a.digest).not.toBe(b.digest);
  expect(key(a)).toBe(key(b));
});

const file = (...actions: FileActionKind[]) =>
  vertex({ kind: 'file', actions: actions.map((action) => ({ input: 0, secondaryInput: 1, output: 0, action })) }, [
    out(image('alpine')),
    out(image('golang')),
  ]);

const copied: FileActionKind = { ...copyAction, src: '/a/b', dest: '/c' };
const id = (n: number) => ({ user: { kind: 'id', id: n } as const });
const named = (name: string, input = 0) => ({ user: { kind: 'name', name, input } as const });
const mkdir: FileActionKind = { kind: 'mkdir', path: '/a', mode: 0o755, makeParents: true, timestamp: -1n };
const mkfile: FileActionKind = { kind: 'mkfile', path: '/a', mode: 0o644, data: Buffer.from('x'), timestamp: -1n };
const rm: FileActionKind = { kind: 'rm', path: '/a', allowNotFound: true, allowWildcard: true };
const symlink: FileActionKind = { kind: 'symlink', oldPath: '/a', newPath: '/b', timestamp: -1n };

test.each<[string, FileActionKind, FileActionKind]>([
  ['src', copied, { ...copied, src: '/a/x' }],
  ['dest', copied, { ...copied, dest: '/c/' }],
  ['no owner against root', copied, { ...copied, owner: id(0) }],
  ['owner', { ...copied, owner: id(1) }, { ...copied, owner: id(2) }],
  ['owner by name', { ...copied, owner: named('1') }, { ...copied, owner: id(1) }],
  [
    'group against user',
    { ...copied, owner: { user: { kind: 'id', id: 1 } } },
    { ...copied, owner: { group: { kind: 'id', id: 1 } } },
  ],
  ['mode', copied, { ...copied, mode: 0o755 }],
  ['symbolic mode', copied, { ...copied, modeStr: 'u+x' }],
  ['timestamp', copied, { ...copied, timestamp: 0n }],
  ['unpacking', copied, { ...copied, attemptUnpackDockerCompatibility: true }],
  ['following links', copied, { ...copied, followSymlink: false }],
  ['contents', copied, { ...copied, dirCopyContents: false }],
  ['parents', copied, { ...copied, createDestPath: false }],
  ['wildcards', copied, { ...copied, allowWildcard: false }],
  ['empty wildcards', copied, { ...copied, allowEmptyWildcard: false }],
  ['replacing', copied, { ...copied, alwaysReplaceExistingDestPaths: true }],
  ['includes', copied, { ...copied, includePatterns: ['a'] }],
  ['excludes', copied, { ...copied, excludePatterns: ['a'] }],
  ['includes against excludes', { ...copied, includePatterns: ['a'] }, { ...copied, excludePatterns: ['a'] }],
  ['required paths', copied, { ...copied, requiredPaths: ['a'] }],
  ['directory', mkdir, { ...mkdir, path: '/b' }],
  ['directory mode', mkdir, { ...mkdir, mode: 0o700 }],
  ['directory parents', mkdir, { ...mkdir, makeParents: false }],
  ['file data', mkfile, { ...mkfile, data: Buffer.from('y') }],
  ['file against directory', mkdir, { ...mkfile, mode: 0o755 }],
  ['rm', rm, { ...rm, allowNotFound: false }],
  ['rm wildcard', rm, { ...rm, allowWildcard: false }],
  ['link text', symlink, { ...symlink, oldPath: '/c' }],
  ['link path', symlink, { ...symlink, newPath: '/c' }],
])('%s counts for a file op', (_, a, b) => {
  expect(key(file(a))).not.toBe(key(file(b)));
});

test('how many actions there are counts', () => {
  expect(key(file(mkdir))).not.toBe(key(file(mkdir, mkdir)));
});

test('of a path that is keyed by content only the last name counts', () => {
  const byContent = (input: number) => input === 1;
  const other = file({ ...copied, src: '/x/b' });
  expect(key(file(copied), byContent)).toBe(key(other, byContent));
  expect(key(file({ ...copied, src: '/a/c' }), byContent)).not.toBe(key(file(copied), byContent));
});

test.each([
  ['docker-image://a', {}, 'docker-image://b', { 'image.resolvemode': 'pull' }, true],
  ['docker-image://a', {}, 'oci-layout://a@sha256:1', { 'oci.store': 's' }, true],
  ['docker-image://a', {}, 'docker-image://a', { 'image.layerlimit': '1' }, false],
  ['docker-image://a', {}, 'docker-image+blob://a', {}, false],
  ['git://a#main', {}, 'git://a#v1', { 'git.fullurl': 'ssh://a' }, true],
  ['git://a#main', {}, 'git://a#main:sub', {}, false],
  ['git://a#main', { 'git.keepgitdir': 'true' }, 'git://b#main', { 'git.keepgitdir': 'true' }, false],
  ['https://a/x.tar?1', { 'http.checksum': 'sha256:1' }, 'http://b/x.tar', {}, true],
  ['https://a/x.tar', {}, 'https://a/y.tar', {}, false],
  ['https://a/x.tar', {}, 'https://b/y', { 'http.filename': 'x.tar' }, false],
  ['https://a/x', { 'http.perm': '0600' }, 'https://a/x', { 'http.perm': '0644' }, false],
])('%s %o and %s %o are the same: %s', (a, attrsA, b, attrsB, same) => {
  const source = (identifier: string, attrs: object) =>
    vertex({ kind: 'source', identifier, attrs: attrs as Record<string, string> }, []);
  expect(key(source(a, attrsA)) === key(source(b, attrsB))).toBe(same);
});
