import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

let dir = '';
beforeEach(() => {
  dir = mkdtempSync(join(tmpdir(), 'slipway-mount-'));
});
afterEach(() => rmSync(dir, { recursive: true }));

/** Runs code in a mount namespace of its own; what it returns comes back as JSON. */
function inNamespace(body: string): unknown {
  const url = JSON.stringify(new URL('./mount.ts', import.meta.url).href);
  const code = `
    import * as fs from 'node:fs';
    import * as m from ${url};
    const dir = ${JSON.stringify(dir)};
    const attempt = (f) => { try { f(); return 'no error'; } catch (error) { return { code: error.code, message: error.message, detail: error.detail }; } };
    const result = (() => { ${body} })();
    process.stdout.write(JSON.stringify(result ?? null));`;
  const node = [process.execPath, '--input-type=module', '-e', code];
  const output = execFileSync('unshare', ['--mount', '--propagation', 'private', ...node], { encoding: 'utf8' });
  return JSON.parse(output) as unknown;
}

test('tmpfs, remount, bind, umount', () => {
  const result = inNamespace(`
    fs.mkdirSync(dir + '/t'); fs.mkdirSync(dir + '/b');
    m.mount({ source: 'tmpfs', target: dir + '/t', type: 'tmpfs', flags: m.MS_NODEV, data: 'size=64k,mode=0711' });
    fs.writeFileSync(dir + '/t/f', 'x');
    const full = attempt(() => fs.writeFileSync(dir + '/t/g', 'x'.repeat(200000)));
    m.bindMount(dir + '/t', dir + '/b', { readonly: true });
    const readonly = attempt(() => fs.writeFileSync(dir + '/b/new', ''));
    fs.writeFileSync(dir + '/t/new', '');
    return { mode: fs.statSync(dir + '/t').mode & 0o777, full: full.code, seen: fs.readdirSync(dir + '/b'), readonly: readonly.code,
      umounts: [m.umount(dir + '/b'), m.umount(dir + '/b'), m.umount(dir + '/t', m.MNT_DETACH), m.umount(dir + '/none')], left: fs.readdirSync(dir + '/t') };`);
  expect(result).toEqual({
    mode: 0o711,
    full: 'ENOSPC',
    seen: ['f', 'g', 'new'],
    readonly: 'EROFS',
    umounts: [true, false, true, false],
    left: [],
  });
});

test('a clone keeps showing what was there when it was made', () => {
  const result = inNamespace(`
    fs.mkdirSync(dir + '/src/sub', { recursive: true }); fs.mkdirSync(dir + '/other'); fs.mkdirSync(dir + '/target');
    fs.writeFileSync(dir + '/src/sub/good', '');  fs.writeFileSync(dir + '/other/bad', '');
    const fd = fs.openSync(dir + '/src', 'r');
    const clone = m.cloneMount(fd, 'sub', true);
    fs.renameSync(dir + '/src/sub', dir + '/src/moved'); fs.symlinkSync(dir + '/other', dir + '/src/sub');
    m.setMountAttributes(clone, { readonly: true, nosuid: true, nodev: true, noexec: true }, true);
    const target = fs.openSync(dir + '/target', 'r');
    m.moveMountTo(clone, '', target);
    const options = fs.readFileSync('/proc/self/mountinfo', 'utf8').split('\\n').find((line) => line.includes(dir + '/target')).split(' ')[5];
    return { seen: fs.readdirSync(dir + '/target'), options };`);
  expect(result).toEqual({ seen: ['good'], options: expect.stringMatching(/^ro,nosuid,nodev,noexec/) as string });
});

describe.each(['fsconfig', 'mount'] as const)('overlay by %s', (method) => {
  test('120 layers under long names, uppermost wins, writes go to the upper directory', () => {
    const result = inNamespace(`
      const base = dir + '/' + 'long-name-'.repeat(8);
      const lower = [];
      for (let i = 0; i < 120; i++) { const path = base + '/l' + i + '/fs'; fs.mkdirSync(path, { recursive: true }); lower.push(path);
        fs.writeFileSync(path + '/all', String(i)); fs.writeFileSync(path + '/only-' + i, ''); }
      for (const name of ['upper', 'work', 'target']) fs.mkdirSync(dir + '/' + name);
      const how = m.mountOverlay({ lower, upper: { directory: dir + '/upper', work: dir + '/work' }, target: dir + '/target', flags: m.MS_NODEV }, ${JSON.stringify(method)});
      fs.writeFileSync(dir + '/target/only-3', 'changed');
      fs.unlinkSync(dir + '/target/only-4');
      return { how, all: fs.readFileSync(dir + '/target/all', 'utf8'), count: fs.readdirSync(dir + '/target').length,
        upper: fs.readdirSync(dir + '/upper').sort(), untouched: fs.readFileSync(lower[3] + '/only-3', 'utf8') };`);
    expect(result).toEqual({ how: method, all: '119', count: 120, upper: ['only-3', 'only-4'], untouched: '' });
  });

  test('names with the separators of options', () => {
    const result = inNamespace(`
      const lower = ['a:b', 'c,d', 'e\\\\f'].map((name) => dir + '/' + name);
      for (const path of lower) { fs.mkdirSync(path); fs.writeFileSync(path + '/' + 'in-' + fs.readdirSync(dir).length, ''); }
      for (const name of ['up,per', 'wo,rk', 'target']) fs.mkdirSync(dir + '/' + name);
      m.mountOverlay({ lower, upper: { directory: dir + '/up,per', work: dir + '/wo,rk' }, target: dir + '/target' }, ${JSON.stringify(method)});
      return fs.readdirSync(dir + '/target').sort();`);
    expect(result).toEqual(['in-1', 'in-2', 'in-3']);
  });

  test('a missing layer is an error that names it', () => {
    const result = inNamespace(`
      fs.mkdirSync(dir + '/a'); fs.mkdirSync(dir + '/target');
      return attempt(() => m.mountOverlay({ lower: [dir + '/a', dir + '/none'], target: dir + '/target' }, ${JSON.stringify(method)}));`);
    expect(result).toMatchObject({ code: 'host', message: expect.stringContaining('ENOENT') as string });
    if (method === 'fsconfig') expect(JSON.stringify(result)).toContain('/none');
  });
});

test('namespaces: unshare, hostname, pivot_root, parent death signal', () => {
  mkdirSync(join(dir, 'new/old'), { recursive: true });
  const url = JSON.stringify(new URL('./namespaces.ts', import.meta.url).href);
  const mountUrl = JSON.stringify(new URL('./mount.ts', import.meta.url).href);
  const code = `
    import * as fs from 'node:fs'; import * as os from 'node:os';
    import * as n from ${url}; import * as m from ${mountUrl};
    const dir = ${JSON.stringify(dir)};
    const outer = fs.openSync('/proc/self/ns/uts', 'r');
    n.unshare(['mount', 'uts']);
    n.setHostname('slipway-test');
    n.setParentDeathSignal(9); n.becomeSubreaper(); n.forbidNewPrivileges();
    const status = fs.readFileSync('/proc/self/status', 'utf8');
    m.mount({ target: '/', flags: m.MS_REC | m.MS_PRIVATE });
    m.mount({ source: 'tmpfs', target: dir + '/new', type: 'tmpfs' });
    fs.mkdirSync(dir + '/new/old'); fs.writeFileSync(dir + '/new/here', '');
    n.pivotRoot(dir + '/new', dir + '/new/old');
    m.umount('/old', m.MNT_DETACH);
    const names = fs.readdirSync('/').sort();
    const host = os.hostname();
    n.setns(outer, 'uts');
    process.stdout.write(JSON.stringify({ names, host, back: os.hostname() !== host, nnp: /NoNewPrivs:\\t1/.test(status) }));`;
  const output = execFileSync(process.execPath, ['--input-type=module', '-e', code], { encoding: 'utf8' });
  expect(JSON.parse(output)).toEqual({ names: ['here', 'old'], host: 'slipway-test', back: true, nnp: true });
  expect(readFileSync('/proc/sys/kernel/hostname', 'utf8')).not.toContain('slipway-test');
});
