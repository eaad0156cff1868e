/** Bundles the CLI, the library and every thread and child entry into dist/, flat, with shared chunks. */
import { globSync, rmSync } from 'node:fs';
import { build } from 'esbuild';

const printMetafile = process.argv.includes('--metafile');
const threads = globSync('src/**/*-thread.ts').filter((file) => !file.endsWith('.test.ts'));
const entries = {
  cli: 'src/cli/main.ts',
  index: 'src/index.ts',
  child: 'src/executor/child.ts',
  ...Object.fromEntries(threads.map((file) => [file.replace(/^.*\/|\.ts$/g, ''), file])),
};

rmSync('dist', { recursive: true, force: true });
const result = await build({
  entryPoints: entries,
  outdir: 'dist',
  bundle: true,
  splitting: true,
  format: 'esm',
  platform: 'node',
  target: 'node22',
  // ES modules keep their named exports when they are imported dynamically.
  mainFields: ['module', 'main'],
  // Native code, and a client that is loaded only for the network, stay packages of their own.
  external: ['koffi', 'undici'],
  sourcemap: 'linked',
  sourcesContent: false,
  minifySyntax: true,
  metafile: true,
  logLevel: 'warning',
  // CommonJS packages inside an ES module bundle ask for `require`.
  banner: {
    js: "import { createRequire as __createRequire } from 'node:module'; const require = __createRequire(import.meta.url);",
  },
});
if (printMetafile) process.stdout.write(JSON.stringify(result.metafile));
