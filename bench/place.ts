import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { writeFiles } from './files.ts';
import { runCommands } from './process.ts';
import { startRegistry } from './registry.ts';
import { buildah } from './tools/buildah.ts';
import { buildkit } from './tools/buildkit.ts';
import { slipway } from './tools/slipway.ts';
import type { BuildRequest, Place, Tool, ToolId } from './types.ts';

export interface OpenPlace extends Place {
  close(): Promise<void>;
}

/** Makes the bench's directory, starts its registry, finds the tools. */
export async function openPlace(options: {
  readonly tools: readonly ToolId[];
  readonly small: boolean;
}): Promise<OpenPlace> {
  const parent = process.env['BENCH_DIR'] ?? '/var/tmp';
  mkdirSync(parent, { recursive: true });
  const dir = mkdtempSync(join(parent, 'slipway-bench-'));
  const found = [slipway(join(dir, 'state')), await buildkit(), await buildah()];
  const tools = found.filter((tool) => tool !== undefined).filter(({ id }) => options.tools.includes(id));
  const registry = await startRegistry(dir);
  const run = async (tool: Tool, request: BuildRequest): Promise<void> => {
    await runCommands(tool.build(request));
  };
  /** Undefined when every tool can have the image, else what went wrong. */
  const lacks = async (image: string): Promise<Error | undefined> => {
    const context = writeFiles(join(dir, 'probe'), { Dockerfile: `FROM ${image}\nLABEL probe=1\n` });
    const request: BuildRequest = { context, output: { kind: 'none' } };
    return Promise.all(tools.map((tool) => run(tool, request))).then(
      () => undefined,
      (error: unknown) => (error instanceof Error ? error : new Error(String(error))),
    );
  };
  const close = async (): Promise<void> => {
    registry.stop();
    rmSync(dir, { recursive: true, force: true });
  };
  const baseImage = process.env['BENCH_BASE_IMAGE'] ?? 'alpine:latest';
  const goImage = process.env['BENCH_GO_IMAGE'] ?? 'golang:latest';
  const failure = await lacks(baseImage);
  const goFailure = await lacks(goImage);
  if (goFailure !== undefined) {
    process.stderr.write(`${goImage} cannot be had, W1 is measured without: ${goFailure.message}\n`);
  }
  if (failure !== undefined) {
    await close();
    throw new Error(`${baseImage} cannot be had; BENCH_BASE_IMAGE names another`, { cause: failure });
  }
  return {
    dir,
    registry: registry.host,
    baseImage,
    goImage: goFailure === undefined ? goImage : undefined,
    tools,
    small: options.small,
    emptyRegistry: () => registry.empty(),
    run,
    close,
  };
}
