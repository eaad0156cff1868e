#!/usr/bin/env node
// Kept in syntax that old Nodes parse, so that they can say what is wrong.
import * as nodeModule from 'node:module';

const [major, minor] = process.versions.node.split('.').map(Number);
if (major < 22 || (major === 22 && minor < 19)) {
  process.stderr.write(
    `slipway: needs Node 22.19 or newer, this is ${process.version}; in a checkout, bin/slipway brings its own\n`,
  );
  process.exit(1);
}
nodeModule.enableCompileCache();
const { main } = await import('../dist/cli.js');
await main(process.argv.slice(2));
