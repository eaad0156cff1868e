import { existsSync, mkdirSync, readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import type { BuildRequest, Output, Tool } from '../types.ts';

/** The command as npm installs it, under the Node that runs the bench. */
const SLIPWAY = process.env['BENCH_SLIPWAY'] ?? fileURLToPath(new URL('../../bin/slipway.js', import.meta.url));

/** @param root A state directory of its own. */
export function slipway(root: string): Tool {
  mkdirSync(root, { recursive: true });
  return {
    id: 'slipway',
    version: `Slipway, Node ${process.versions.node}`,
    build: (request) => [
      { argv: [process.execPath, SLIPWAY, 'build', ...wordsOf(request)], env: { SLIPWAY_ROOT: root } },
    ],
    async prune() {
      // What V8 made of the program belongs to the installation, not to what was built.
      for (const name of existsSync(root) ? readdirSync(root) : []) {
        if (name !== 'code') rmSync(join(root, name), { recursive: true, force: true });
      }
    },
    daemons: () => [],
  };
}

function wordsOf({ context, dockerfile, output }: BuildRequest): readonly string[] {
  return ['--network=host', ...(dockerfile === undefined ? [] : ['-f', dockerfile]), ...outputWords(output), context];
}

function outputWords(output: Output): readonly string[] {
  switch (output.kind) {
    case 'none':
      return [];
    case 'tag':
      return ['-t', output.name];
    case 'oci':
      return ['-o', `type=oci,dest=${output.dest},compression=${output.compression}`];
    case 'files':
      return ['-o', `type=local,dest=${output.dest}`];
    case 'push':
      return ['--push', '-t', output.name];
  }
}
