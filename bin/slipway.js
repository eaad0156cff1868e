#!/usr/bin/env node
// Kept in syntax that old Nodes parse, so that they can say what is wrong.
// Half of a cached build would be V8 compiling functions: those that an earlier run used are kept in the state directory.

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `slipway: needs Node 22.19 or newer, this is ${process.version}; in a checkout, bin/slipway brings its own\n`,
  );
  process.exit(1);
}
const fs = process.getBuiltinModule('node:fs');
const vm = process.getBuiltinModule('node:vm');

const file = `${import.meta.dirname.slice(0, -'bin'.length)}dist/cli.cjs`;
const source = fs.readFileSync(file, 'latin1');
// The last line of the bundle is a comment with the digest of what is above it.
const digest = source.slice(-65, -1);

/** Milliseconds that a run may take to be a good example: what has not been used for longer, V8 forgets. */
const SHORT_RUN = 1000;
/** Bytes before the code: digest of the bundle, `1` when it is from a short run. */
const HEADER = 128;

// Node says that this way to import is experimental, at the first module that is; that is our decision, not the user's.
const emitWarning = process.emitWarning;
process.emitWarning = (warning, ...rest) => {
  if (!String(warning).startsWith('vm.USE_MAIN_CONTEXT_DEFAULT_LOADER')) {
    Reflect.apply(emitWarning, process, [warning, ...rest]);
  }
};

const codePath = pathOfCode(process.argv[2]);
const known = codePath === undefined ? undefined : readCode(codePath);
const script = new vm.Script(source, {
  filename: file,
  cachedData: known?.subarray(HEADER),
  importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER,
});
const require = (name) => process.getBuiltinModule('node:module').createRequire(file)(name);
// For src/sys/own-process.ts.
globalThis[Symbol.for('slipway.process')] = true;
const { main } = script.runInThisContext()(require, new URL('../dist/cli.cjs', import.meta.url).href);
const didCommand = await main(process.argv.slice(2));
if (didCommand && codePath !== undefined) keepCode(codePath);
// Nothing is left to wait for but output that a full pipe did not take at once.
for (const stream of [process.stdout, process.stderr]) {
  if (stream.writableLength > 0) await new Promise((resolve) => stream.write('', resolve));
}
if (process.platform === 'linux') process.exit();

/** In the state directory of this user (src/store/default-root.ts), as only that is nobody else's to write. */
function pathOfCode(command) {
  if (!/^[a-z]+$/.test(command ?? '')) return undefined;
  const { SLIPWAY_ROOT, XDG_DATA_HOME, HOME } = process.env;
  const data = XDG_DATA_HOME?.startsWith('/') ? XDG_DATA_HOME : HOME && `${HOME}/.local/share`;
  const root = SLIPWAY_ROOT || (process.getuid?.() === 0 ? '/var/lib/slipway' : data && `${data}/slipway`);
  return root && `${root}/code/${command}-${process.version}-${process.arch}`;
}

function readCode(path) {
  try {
    const data = fs.readFileSync(path);
    return data.latin1Slice(0, digest.length) === digest ? data : undefined;
  } catch {
    return undefined;
  }
}

/** Synced before it gets its name: V8 does not look for damage in it. */
function keepCode(path) {
  const isShort = performance.now() < SHORT_RUN;
  const isGood = known !== undefined && script.cachedDataRejected !== true && (known[64] === 0x31 || !isShort);
  if (isGood) return;
  const temporary = `${path}.${process.pid}`;
  try {
    const directory = path.slice(0, path.lastIndexOf('/'));
    if (!fs.existsSync(`${directory.slice(0, -'code'.length)}version`)) return;
    fs.mkdirSync(directory, { recursive: true, mode: 0o700 });
    const header = Buffer.alloc(HEADER);
    header.write(`${digest}${isShort ? 1 : 0}`);
    const fd = fs.openSync(temporary, 'wx', 0o600);
    try {
      fs.writevSync(fd, [header, script.createCachedData()]);
      fs.fsyncSync(fd);
    } finally {
      fs.closeSync(fd);
    }
    fs.renameSync(temporary, path);
  } catch {
    // Slower the next time, nothing else.
    fs.rmSync(temporary, { force: true });
  }
}
