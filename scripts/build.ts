/**
 * Bundles the CLI, the library and every thread and child entry into dist/, each as one file: a process that starts reads
 * one file, and what it imports dynamically costs nothing before it is asked for.
 */
import { createHash } from 'node:crypto';
import { appendFileSync, globSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { resolve } from 'node:path';
import { parseArgs, promisify } from 'node:util';
import { build, type BuildOptions, type Plugin } from 'esbuild';

const { values: flags } = parseArgs({
  options: { outdir: { type: 'string', default: 'dist' }, metafile: { type: 'string' } },
});
/** Takes the place of the old one when it is complete. */
const outdir = `${flags.outdir}.new`;
const threads = globSync('src/**/*-thread.ts');
const library = { index: 'src/index.ts', dockerfile: 'src/api/dockerfile.ts' };
const processes = {
  child: 'src/executor/child.ts',
  ...Object.fromEntries(threads.map((file) => [file.replace(/^.*\/|\.ts$/g, ''), file])),
};

/** By absolute file name and module: the names that it imports from Node's own modules. */
const builtinNames = new Map<string, ReadonlyMap<string, readonly string[]>>();
for (const file of globSync('src/**/*.ts', { exclude: ['src/**/*.test.ts'] })) {
  const imports = readFileSync(file, 'utf8').matchAll(/^import (?!type)(?:\w+, )?\{([^}]*)\} from '(node:[\w/]+)'/gm);
  const modules = new Map<string, readonly string[]>();
  for (const [, words = '', module = ''] of imports) {
    const values = words.split(',').filter((word) => /^\s*\w/.test(word) && !/^\s*type /.test(word));
    modules.set(
      module,
      values.map((word) => word.trim().replace(/ as .*/, '')),
    );
  }
  builtinNames.set(resolve(file), modules);
}

/** Modules of Node that take more than 0.3 ms to load, and that a build which finds everything in its cache does not use. */
const LATE = new Set([
  'node:child_process',
  'node:crypto',
  'node:fs/promises',
  'node:timers/promises',
  'node:tty',
  'node:zlib',
]);

/** Functions can be had at their first call; a class, a constant or what `promisify` treats in its own way cannot. */
function canBeLate(module: string, name: string): boolean {
  const value = (process.getBuiltinModule(module) as Readonly<Record<string, unknown>>)[name];
  return LATE.has(module) && typeof value === 'function' && /^[a-z]/.test(name) && !(promisify.custom in value);
}

/** Node's own modules as values that are made where they are needed, not as imports, which all come first. */
const builtinsWhenNeeded: Plugin = {
  name: 'builtins-when-needed',
  setup(builder) {
    builder.onResolve({ filter: /^[a-z:_/]+$/ }, ({ path, kind, importer }) => {
      // `require` and `import()` come when they are needed anyway.
      if (!isBuiltin(path) || kind !== 'import-statement') return undefined;
      const module = path.replace(/^(node:)?/, 'node:');
      const names = builtinNames.get(importer)?.get(module);
      const isLate = names?.every((name) => canBeLate(module, name));
      const namespace = names === undefined ? 'whole-builtin' : isLate ? 'late-builtin' : 'builtin';
      return { path: module, namespace, sideEffects: false };
    });
    const valueOf = (module: string) => `process.getBuiltinModule(${JSON.stringify(module)})`;
    const namesOf = (module: string) => [
      ...new Set([...builtinNames.values()].flatMap((modules) => modules.get(module) ?? [])),
    ];
    builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `const module = ${valueOf(path)}; export const { ${namesOf(path).join(', ')} } = module; export default module;`,
    }));
    builder.onLoad({ filter: /.*/, namespace: 'late-builtin' }, ({ path }) => ({
      // Each takes the place of itself.
      contents: namesOf(path)
        .filter((name) => canBeLate(path, name))
        .map((name) => `export let ${name} = (...args) => (${name} = ${valueOf(path)}.${name})(...args);`)
        .join('\n'),
    }));
    builder.onLoad({ filter: /.*/, namespace: 'whole-builtin' }, ({ path }) => ({
      contents: `module.exports = ${valueOf(path)};`,
    }));
  },
};

const common: BuildOptions = {
  outdir,
  bundle: true,
  platform: 'node',
  target: 'node22',
  // ES modules keep their named exports when they are imported dynamically.
  mainFields: ['module', 'main'],
  // Native code stays a package of its own.
  external: ['koffi'],
  plugins: [builtinsWhenNeeded],
  sourcemap: 'linked',
  sourcesContent: false,
  // Names stay, so that a stack trace can be read.
  minifySyntax: true,
  minifyWhitespace: true,
  metafile: true,
  logLevel: 'warning',
};

/** ES modules, for who imports them. */
const modules = ([name, file]: readonly [string, string]): BuildOptions => ({
  ...common,
  entryPoints: { [name]: file },
  format: 'esm',
  // CommonJS packages inside an ES module bundle ask for `require`.
  banner: { js: "const require=process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
});

/** Started by Node, which has a CommonJS module running two milliseconds sooner. */
const scripts = ([name, file]: readonly [string, string]): BuildOptions => ({
  ...common,
  entryPoints: { [name]: file },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  define: { 'import.meta.url': '__url' },
  banner: { js: "const __url=require('node:url').pathToFileURL(__filename).href;" },
});

/** One function, for `bin/slipway.js`, which keeps the code that V8 made of it. Called with `require` and its own URL. */
const command: BuildOptions = {
  ...common,
  entryPoints: { cli: 'src/cli/main.ts' },
  outExtension: { '.js': '.cjs' },
  format: 'cjs',
  // `import()` in a script of our own making is an experiment that Node warns of; `require` loads all that is left outside.
  supported: { 'dynamic-import': false },
  define: { 'import.meta.url': '__url' },
  banner: { js: '(function(require,__url){const module={exports:{}};' },
  footer: { js: 'return module.exports})' },
};

rmSync(outdir, { recursive: true, force: true });
const results = await Promise.all(
  [...Object.entries(library).map(modules), ...Object.entries(processes).map(scripts), command].map((options) =>
    build(options),
  ),
);
const bundle = `${outdir}/cli.cjs`;
const code = readFileSync(bundle);
appendFileSync(bundle, `//${createHash('sha256').update(code).digest('hex')}\n`);
rmSync(flags.outdir, { recursive: true, force: true });
renameSync(outdir, flags.outdir);
if (flags.metafile !== undefined) {
  writeFileSync(flags.metafile, JSON.stringify(results.map(({ metafile }) => metafile)));
}
