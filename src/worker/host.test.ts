import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { afterAll, describe, expect, it } from 'vitest';
import { findProgram, findRuntime, hasCapability, installHint } from './host.ts';

const bin = mkdtempSync(`${tmpdir()}/slipway-host-`);
afterAll(() => {
  rmSync(bin, { recursive: true, force: true });
});

const names = { debian: 'crun', fedora: 'crun-f', alpine: 'crun-a', other: 'crun-o' };

describe('the command that installs a package', () => {
  it.each([
    ['ID=debian\nVERSION_ID="12"\n', 'apt-get install crun'],
    ['ID=linuxmint\nID_LIKE="ubuntu debian"\n', 'apt-get install crun'],
    ['ID="rocky"\nID_LIKE="rhel centos fedora"\n', 'dnf install crun-f'],
    ['ID=alpine\n', 'apk add crun-a'],
    ['ID="opensuse-leap"\nID_LIKE="suse opensuse"\n', 'zypper install crun-f'],
    ['ID=arch\n', 'pacman -S crun-o'],
    ['ID=nixos\n', 'install the package crun-o'],
    ['', 'install the package crun-o'],
  ])('%j', (osRelease, expected) => {
    expect(installHint(names, osRelease)).toBe(expected);
  });
});

describe('the runtime', () => {
  it('is the one that was asked for, by name or path', () => {
    writeFileSync(`${bin}/my-runc`, '', { mode: 0o755 });
    expect(findRuntime({}, `${bin}/my-runc`)).toEqual({ name: 'runc', path: `${bin}/my-runc` });
    expect(findRuntime({ PATH: bin }, 'my-runc')).toEqual({ name: 'runc', path: `${bin}/my-runc` });
  });

  it('is missed with the command that installs it', () => {
    expect(() => findRuntime({}, 'no-such-runtime')).toThrow(
      expect.objectContaining({ code: 'host', hint: expect.stringContaining('crun') as string }) as Error,
    );
  });

  it('is not looked for in relative places, nor among what cannot be executed', () => {
    writeFileSync(`${bin}/plain`, '', { mode: 0o644 });
    expect(findProgram('plain', { PATH: bin })).toBeUndefined();
    expect(findProgram('my-runc', { PATH: '.:' })).toBeUndefined();
  });
});

it('capabilities are read from the kernel', () => {
  expect(hasCapability(21)).toBe(process.getuid?.() === 0);
});
