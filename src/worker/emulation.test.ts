import { describe, expect, it } from 'vitest';
import type { Snapshot } from '../contracts/index.ts';
import { isForeign, noEmulator, parseHandler, readHandlers, requireRunnable } from './emulation.ts';
import type { Handler } from './emulation.ts';
import { file, link, memoryTree } from './testing/memory-tree.ts';
import type { Literal } from './testing/memory-tree.ts';

const NATIVE = process.arch === 'arm64' ? 'arm64' : 'amd64';
const FOREIGN = { os: 'linux', architecture: process.arch === 'arm64' ? 'amd64' : 'arm64' };
const MACHINES = { amd64: '\x3e', arm64: '\x7f' };
/** The start of a static program. (0x7f stands for arm64's 183: content is text.) */
const elf = (architecture: keyof typeof MACHINES): string =>
  `\x7fELF\x02\x01\x01${'\0'.repeat(9)}\x02\0${MACHINES[architecture]}\0${'\0'.repeat(40)}`;

const QEMU = `enabled
interpreter /usr/bin/qemu-static
flags: OCF
offset 0
magic 7f454c460201010000000000000000000200${process.arch === 'arm64' ? '3e' : '7f'}00
mask ffffffffffffff00fffffffffffffffffeffffff
`;
const handler = (text: string): readonly Handler[] => {
  const parsed = parseHandler('qemu', text);
  return parsed === undefined ? [] : [parsed];
};

async function outcome(
  files: Record<string, Literal>,
  args: readonly string[],
  handlers: readonly Handler[] | 'unknown' = [],
): Promise<string> {
  const root: Snapshot = { layers: [], files: memoryTree(files), inPlace: false };
  const started = { args, env: ['PATH=/bin:/opt/bin'], cwd: '/work' };
  return await requireRunnable(started, FOREIGN, root, () => (handlers === 'unknown' ? undefined : handlers)).then(
    () => 'runs',
    (error: unknown) => (error instanceof Error ? error.message : ''),
  );
}
const program = (architecture: 'native' | 'foreign'): Literal =>
  file(elf(architecture === 'native' ? NATIVE : (FOREIGN.architecture as 'amd64')), { mode: 0o755 });

describe('a step of another platform', () => {
  const files = {
    'bin/native': program('native'),
    'bin/foreign': program('foreign'),
    'bin/sh': link('/opt/bin/shell'),
    'opt/bin/shell': program('foreign'),
    'work/run': program('foreign'),
    'work/script': file('#! /bin/sh -e\necho\n', { mode: 0o755 }),
    'work/native-script': file('#!native\n', { mode: 0o755 }),
    'work/loop': file('#!/work/loop\n', { mode: 0o755 }),
    'bin/text': file('echo', { mode: 0o755 }),
    'opt/bin/plain': file(elf(NATIVE), { mode: 0o644 }),
    'usr/bin/other': program('native'),
  };
  const refused = /^a step for linux\/\w+ cannot run on linux\/\w+: no emulator/;

  it.each([
    ['native', 'runs'],
    ['foreign', refused],
    ['/bin/foreign', refused],
    ['./run', refused],
    ['sh', refused],
    ['./script', refused],
    ['./native-script', 'runs'],
    ['./loop', 'runs'],
    ['text', 'runs'],
    ['missing', 'runs'],
  ])('%s, without emulators: %s', async (name, expected) => {
    expect(await outcome(files, [name])).toMatch(expected);
  });

  it.each<[string, string | undefined, string | RegExp]>([
    ['with the flag F', QEMU, 'runs'],
    ['without the flag F', QEMU.replace('OCF', 'OC'), /registered without the flag F/],
    [
      'without the flag F, but in the root',
      QEMU.replace('OCF', '').replace('/usr/bin/qemu-static', '/usr/bin/other'),
      'runs',
    ],
    ['disabled', QEMU.replace('enabled', 'disabled'), refused],
    ['for another machine', QEMU.replace(/00\nmask/, '99\nmask'), refused],
    ['for a file extension', 'enabled\ninterpreter /usr/bin/wine\nflags: \nextension .exe\n', refused],
  ])('with an emulator %s', async (_, text, expected) => {
    expect(await outcome(files, ['foreign'], handler(text ?? ''))).toMatch(expected);
  });

  it('is tried where the table cannot be read', async () => {
    expect(await outcome(files, ['foreign'], 'unknown')).toBe('runs');
    expect(readHandlers('/nonexistent')).toBeUndefined();
  });

  it('says what to install, and how to do without', () => {
    const { message, hint, code } = noEmulator({ os: 'linux', architecture: 'arm', variant: 'v7' });
    expect(code).toBe('host');
    expect(message).toContain('linux/arm/v7');
    for (const word of ['binfmt --install arm', '--platform=$BUILDPLATFORM', '$TARGETARCH'])
      expect(hint).toContain(word);
  });

  it('is one of another system or machine only', () => {
    expect(isForeign(undefined)).toBe(false);
    expect(isForeign({ os: 'linux', architecture: NATIVE })).toBe(false);
    expect(isForeign(FOREIGN)).toBe(true);
    expect(isForeign({ os: 'windows', architecture: NATIVE })).toBe(true);
  });
});
