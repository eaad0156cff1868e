/**
 * Writes the declarations of the library and of the parser to dist/types: those that the two entries reach, with imports
 * as JavaScript spells them. `npm ci` in a checkout goes without, nothing there needs them.
 */
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { parseArgs } from 'node:util';

const { values: flags } = parseArgs({ options: { outdir: { type: 'string', default: 'dist/types' } } });
const root = resolve(import.meta.dirname, '..');
const entries = ['index.d.ts', 'api/dockerfile.d.ts'];

if (process.env['npm_command'] !== 'ci') {
  const emitted = mkdtempSync(join(tmpdir(), 'slipway-types-'));
  try {
    execFileSync(
      process.execPath,
      [join(root, 'node_modules/typescript/bin/tsc'), '-p', join(root, 'tsconfig.build.json'), '--outDir', emitted],
      {
        stdio: 'inherit',
      },
    );
    rmSync(flags.outdir, { recursive: true, force: true });
    const written = new Set<string>();
    const pending = [...entries];
    for (let file = pending.pop(); file !== undefined; file = pending.pop()) {
      if (written.has(file)) continue;
      written.add(file);
      const text = readFileSync(join(emitted, file), 'utf8').replace(
        /(['"])(\.{1,2}\/[^'"]*)\.ts\1/g,
        (_, quote: string, path: string) => {
          pending.push(join(dirname(file), `${path}.d.ts`));
          return `${quote}${path}.js${quote}`;
        },
      );
      mkdirSync(dirname(join(flags.outdir, file)), { recursive: true });
      writeFileSync(join(flags.outdir, file), text);
    }
  } finally {
    rmSync(emitted, { recursive: true });
  }
}
