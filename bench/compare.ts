import { rmSync } from 'node:fs';
import { join } from 'node:path';
import { differences, imageContents, pushedContents, type Contents } from './content.ts';
import { runCommands } from './process.ts';
import type { BuildRequest, Case, Place, Tool, ToolId } from './types.ts';

/** What differs between the images of Slipway and another, twenty paths at most; empty = the same files. */
export type Compared = Partial<Record<ToolId, readonly string[]>>;

/** @param archives Of tools whose image is at hand; removed here. */
export async function compareImages(
  place: Place,
  test: Case,
  tools: readonly Tool[],
  archives: ReadonlyMap<Tool, string>,
): Promise<Compared | undefined> {
  if (test.compare === undefined) return undefined;
  const contents = new Map<ToolId, Contents>();
  for (const tool of tools) {
    contents.set(tool.id, await contentsBy(place, tool, test.compare(tool), archives.get(tool)));
  }
  const own = contents.get('slipway');
  if (own === undefined) return undefined;
  const compared: Compared = {};
  for (const [id, theirs] of contents) {
    if (id === 'slipway') continue;
    // The number of a run is another for each tool.
    const paths = differences(own, theirs).filter((path) => path !== 'nonce');
    compared[id] = paths.slice(0, 20);
  }
  return compared;
}

async function contentsBy(place: Place, tool: Tool, request: BuildRequest, kept?: string): Promise<Contents> {
  if (request.output.kind === 'push') {
    await runCommands(tool.build(request));
    return pushedContents(request.output.name);
  }
  const archive = kept ?? join(place.dir, `compare-${tool.id}.tar`);
  try {
    if (kept === undefined) {
      await runCommands(tool.build({ ...request, output: { kind: 'oci', dest: archive, compression: 'gzip' } }));
    }
    return await imageContents(archive, place.dir);
  } finally {
    rmSync(archive, { force: true });
  }
}
