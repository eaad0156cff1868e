import { execFileSync } from 'node:child_process';
import {
  chmodSync,
  chownSync,
  closeSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  openSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import { copyContent, copyFile } from './copy.ts';
import { errnoOf } from './errno.ts';
import { hostPath } from './path.ts';
import { removeTree, removeTreeSteps } from './remove.ts';
import { getLimit, isLimitName, LIMIT_NAMES, setLimit } from './rlimit.ts';
import { fileSystemOf, syncfs, syncfsAsync } from './statfs.ts';

const dir = mkdtempSync(join(tmpdir(), 'slipway-files-'));
afterAll(() => rmSync(dir, { recursive: true }));

describe('copy', () => {
  test.each([0, 1, 65536, 65537, 3_000_000])('%d bytes', (size) => {
    const content = Buffer.alloc(size, 'abcdefg');
    writeFileSync(join(dir, 'source'), content);
    const source = openSync(join(dir, 'source'), 'r');
    const target = openSync(join(dir, `target-${size}`), 'wx+');
    expect(copyContent(source, target, size).bytes).toBe(size);
    closeSync(source);
    closeSync(target);
    expect(readFileSync(join(dir, `target-${size}`)).equals(content)).toBe(true);
  });

  test('a file that says it is empty and is not', () => {
    const source = openSync('/proc/self/status', 'r');
    const target = openSync(join(dir, 'status'), 'wx');
    expect(copyContent(source, target, 1_000_000)).toMatchObject({ method: 'buffer' });
    closeSync(source);
    closeSync(target);
    expect(readFileSync(join(dir, 'status'), 'utf8')).toContain('Name:');
  });

  test('by path, never onto something', () => {
    writeFileSync(join(dir, 'from'), 'x', { mode: 0o640 });
    copyFile(join(dir, 'from'), join(dir, 'to'));
    expect(statSync(join(dir, 'to')).mode & 0o777).toBe(0o640);
    try {
      copyFile(join(dir, 'from'), join(dir, 'to'));
      expect.unreachable();
    } catch (error) {
      expect(errnoOf(error)).toBe('EEXIST');
    }
  });
});

describe('remove', () => {
  test('links are removed, not followed; any name; nothing there', () => {
    const victim = join(dir, 'victim');
    mkdirSync(join(dir, 'kept'));
    writeFileSync(join(dir, 'kept/file'), '');
    mkdirSync(join(victim, 'a/b'), { recursive: true });
    symlinkSync('../kept', join(victim, 'link'));
    symlinkSync('../../../kept', join(victim, 'a/b/link'));
    writeFileSync(hostPath(victim, 'f\udcff\udcfe'), '');
    mkdirSync(hostPath(victim, 'a/d\udcff'));
    removeTree(victim);
    expect(existsSync(victim)).toBe(false);
    expect(readdirSync(join(dir, 'kept'))).toEqual(['file']);
    removeTree(victim);
    symlinkSync('kept', join(dir, 'to-kept'));
    removeTree(join(dir, 'to-kept'));
    expect(readdirSync(join(dir, 'kept'))).toEqual(['file']);
  });

  test('deeper than any path can name', () => {
    // Each round puts all that is there at the end of a new chain; no call ever sees more than one chain.
    const deep = join(dir, 'deep');
    const chain = Array.from({ length: 10 }, (_, i) => `directory-${i}`).join('/');
    mkdirSync(deep);
    for (let round = 0; round < 150; round++) {
      mkdirSync(join(dir, 'next', chain), { recursive: true });
      renameSync(deep, join(dir, 'next', chain, 'deep'));
      renameSync(join(dir, 'next'), deep);
    }
    removeTree(deep);
    expect(existsSync(deep)).toBe(false);
  });

  test('directories without permissions, by their owner', () => {
    const home = join(dir, 'home');
    mkdirSync(join(home, 'closed/inner'), { recursive: true });
    writeFileSync(join(home, 'closed/inner/file'), '');
    for (const name of ['closed/inner/file', 'closed/inner', 'closed']) chownSync(join(home, name), 65534, 65534);
    chmodSync(join(home, 'closed/inner'), 0);
    chmodSync(join(home, 'closed'), 0);
    chmodSync(dir, 0o755);
    chownSync(home, 65534, 65534);
    const code = `
      process.setgroups([]); process.setgid(65534); process.setuid(65534);
      const { removeTree } = await import(${JSON.stringify(new URL('./remove.ts', import.meta.url).href)});
      removeTree(process.argv[1]);`;
    // Loaded as root, as the sources may lie where nobody else reads.
    const preload = `await import(${JSON.stringify(new URL('./remove.ts', import.meta.url).href)}).then((m) => m.removeTree(${JSON.stringify(join(dir, 'none'))}));`;
    execFileSync(process.execPath, ['--input-type=module', '-e', preload + code, join(home, 'closed')]);
    expect(readdirSync(home)).toEqual([]);
  });

  test('in steps, which may stop', () => {
    const many = join(dir, 'many');
    mkdirSync(many);
    for (let i = 0; i < 1000; i++) writeFileSync(join(many, `f${i}`), '');
    const steps = removeTreeSteps(many);
    expect(steps.next().done).toBe(false);
    steps.return();
    const left = readdirSync(many).length;
    expect(left).toBeGreaterThan(0);
    expect(left).toBeLessThan(1000);
    removeTree(many);
    expect(existsSync(many)).toBe(false);
  });
});

describe('limits', () => {
  test('agree with what the shell says', () => {
    const text = readFileSync('/proc/self/limits', 'utf8');
    const [, soft, hard] = /^Max open files +(\S+) +(\S+)/m.exec(text) ?? [];
    expect(getLimit('nofile')).toEqual({ soft: Number(soft), hard: Number(hard) });
    for (const name of LIMIT_NAMES) expect(getLimit(name).hard).toBeGreaterThanOrEqual(getLimit(name).soft);
    expect(isLimitName('nofile') && !isLimitName('toString')).toBe(true);
  });

  test('are set, unlimited included', () => {
    const before = getLimit('core');
    setLimit('core', { soft: 0, hard: before.hard });
    expect(getLimit('core')).toEqual({ soft: 0, hard: before.hard });
    setLimit('core', before);
    expect(getLimit('core')).toEqual(before);
  });
});

describe('file systems', () => {
  test('are told apart and measured', () => {
    expect(fileSystemOf('/proc').type).toBe('proc');
    const facts = fileSystemOf(dir);
    expect(facts.type).not.toMatch(/^0x/);
    expect(facts.available).toBeGreaterThan(0);
    expect(facts.total).toBeGreaterThanOrEqual(facts.available);
    expect(() => fileSystemOf(join(dir, 'none'))).toThrow(/ENOENT/);
  });

  test('are written out', async () => {
    // On memory: a disk that others use may take any time.
    const fd = openSync('/dev/shm', 'r');
    syncfs(fd);
    await expect(syncfsAsync(fd)).resolves.toBe(true);
    closeSync(fd);
    expect(() => syncfs(999_999)).toThrow(/EBADF/);
  });
});
