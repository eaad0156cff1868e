import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { createRandom } from './random.ts';

/** Writes path to content below `dir`. */
export function writeFiles(dir: string, files: Readonly<Record<string, string | Uint8Array>>): string {
  for (const [path, content] of Object.entries(files)) {
    const file = join(dir, path);
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, content);
  }
  return dir;
}

/**
 * A source tree as they are: directories of 100 files, sizes around a mean (most small, a few eight times as large), half
 * text, half noise. Times are fixed, so that every context is the same.
 */
export function writeSourceTree(dir: string, options: { readonly files: number; readonly meanBytes: number }): void {
  const random = createRandom(options.files);
  const { files, meanBytes } = options;
  const text = random.text(meanBytes * 16);
  const noise = random.noise(meanBytes * 16);
  for (let i = 0; i < files; i++) {
    const folder = join(dir, `d${Math.floor(i / 10_000)}`, `s${Math.floor(i / 100) % 100}`);
    if (i % 100 === 0) mkdirSync(folder, { recursive: true });
    const size = i % 16 === 0 ? random.below(meanBytes * 12) : random.below(Math.floor(meanBytes * 1.33));
    const source = i % 2 === 0 ? text : noise;
    const at = random.below(source.length - size);
    writeFileSync(join(folder, `f${i}.${i % 2 === 0 ? 'txt' : 'bin'}`), source.subarray(at, at + size));
  }
}
