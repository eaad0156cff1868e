/**
 * Bundles the CLI, the library and every thread and child entry into dist/, each as one file: a process that starts reads
 * one file, and what it imports dynamically costs nothing before it is asked for.
 */
import { globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { isBuiltin } from 'node:module';
import { parseArgs } from 'node:util';
import { build, type Plugin } from 'esbuild';

const { values: flags } = parseArgs({
  options: { outdir: { type: 'string', default: 'dist' }, metafile: { type: 'string' } },
});
const threads = globSync('src/**/*-thread.ts');
const entries = {
  cli: 'src/cli/main.ts',
  index: 'src/index.ts',
  child: 'src/executor/child.ts',
  ...Object.fromEntries(threads.map((file) => [file.replace(/^.*\/|\.ts$/g, ''), file])),
};

/** Names that the source imports from each of Node's own modules. */
const builtinNames = new Map<string, Set<string>>();
for (const file of globSync('src/**/*.ts')) {
  const imports = readFileSync(file, 'utf8').matchAll(/^import (?!type)(?:\w+, )?\{([^}]*)\} from '(node:[\w/]+)'/gm);
  for (const [, names = '', module = ''] of imports) {
    const known = builtinNames.get(module) ?? new Set();
    for (const name of names.split(',')) {
      if (/^\s*\w/.test(name) && !/^\s*type /.test(name)) known.add(name.trim().replace(/ as .*/, ''));
    }
    builtinNames.set(module, known);
  }
}

/** Node's own modules as values that are made where they are needed, not as imports, which all come first. */
const builtinsWhenNeeded: Plugin = {
  name: 'builtins-when-needed',
  setup(builder) {
    builder.onResolve({ filter: /^[a-z:_/]+$/ }, ({ path, kind, importer }) => {
      // `require` and `import()` come when they are needed anyway.
      if (!isBuiltin(path) || kind !== 'import-statement') return undefined;
      const namespace = importer.includes('node_modules') ? 'whole-builtin' : 'builtin';
      return { path: path.replace(/^(node:)?/, 'node:'), namespace, sideEffects: false };
    });
    const valueOf = (path: string) => `process.getBuiltinModule(${JSON.stringify(path)})`;
    builder.onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: `const module = ${valueOf(path)};
        export const { ${[...(builtinNames.get(path) ?? [])].join(', ')} } = module;
        export default module;`,
    }));
    builder.onLoad({ filter: /.*/, namespace: 'whole-builtin' }, ({ path }) => ({
      contents: `module.exports = ${valueOf(path)};`,
    }));
  },
};

rmSync(flags.outdir, { recursive: true, force: true });
mkdirSync(flags.outdir, { recursive: true });
const results = await Promise.all(
  Object.entries(entries).map(([name, file]) =>
    build({
      entryPoints: { [name]: file },
      outdir: flags.outdir,
      bundle: true,
      format: 'esm',
      platform: 'node',
      target: 'node22',
      // ES modules keep their named exports when they are imported dynamically.
      mainFields: ['module', 'main'],
      // Native code, and a client that is loaded only for the network, stay packages of their own.
      external: ['koffi', 'undici'],
      plugins: [builtinsWhenNeeded],
      sourcemap: 'linked',
      sourcesContent: false,
      // Names stay, so that a stack trace can be read.
      minifySyntax: true,
      minifyWhitespace: true,
      metafile: true,
      logLevel: 'warning',
      // CommonJS packages inside an ES module bundle ask for `require`.
      banner: { js: "const require=process.getBuiltinModule('node:module').createRequire(import.meta.url);" },
    }),
  ),
);
if (flags.metafile !== undefined) {
  writeFileSync(flags.metafile, JSON.stringify(results.map(({ metafile }) => metafile)));
}
