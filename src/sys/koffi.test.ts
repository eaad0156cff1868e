import { mkdirSync, mkdtempSync, rmSync, symlinkSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { loadKoffi, loadNative } from './koffi.ts';

const packages = resolve(import.meta.dirname, '../../node_modules');
const dir = mkdtempSync(join(tmpdir(), 'koffi-'));
afterAll(() => rmSync(dir, { recursive: true, force: true }));

const pidBy = (koffi: ReturnType<typeof loadNative>) => koffi?.load(null).func('getpid', 'int', [])();

it('finds the library where npm puts it, without the loader of koffi', () => {
  expect(pidBy(loadNative(import.meta.dirname))).toBe(process.pid);
});

it('finds it where node_modules/koffi is a link', () => {
  const store = join(dir, 'store/koffi@3/node_modules');
  mkdirSync(store, { recursive: true });
  mkdirSync(join(store, 'koffi'));
  symlinkSync(join(packages, '@koromix'), join(store, '@koromix'));
  mkdirSync(join(dir, 'app/node_modules'), { recursive: true });
  mkdirSync(join(dir, 'app/dist'));
  symlinkSync(join(store, 'koffi'), join(dir, 'app/node_modules/koffi'));
  expect(pidBy(loadNative(join(dir, 'app/dist')))).toBe(process.pid);
});

it('leaves the rest to the loader of koffi', () => {
  mkdirSync(join(dir, 'damaged/node_modules/koffi'), { recursive: true });
  mkdirSync(join(dir, `damaged/node_modules/@koromix/koffi-${process.platform}-${process.arch}`), { recursive: true });
  expect(loadNative(join(dir, 'damaged'))).toBeUndefined();
  expect(loadNative('/')).toBeUndefined();
  expect(pidBy(loadKoffi())).toBe(process.pid);
});
