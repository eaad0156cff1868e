import { BuildError } from '../contracts/index.ts';
import type { ContentLocation, Exporter, FileTree, NodeEntry, TreePath } from '../contracts/index.ts';
import { tarOf } from '../image/index.ts';
import { compareTreePaths } from '../store/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import type { TarOutput } from './output-spec.ts';
import { attested } from './local-exporter.ts';
import { createClaims, directoryEntry, placeInputs, placedEntry, placedPath } from './place-inputs.ts';
import type { PlacedInput } from './place-inputs.ts';
import { reported } from './progress-report.ts';
import { checkFileDestination, checkStream, fileSink, streamSink, withSink } from './sink.ts';

/** `type=tar`: the flattened file system as one tar, in tree order; the same files give the same bytes. */
export function tarExporter(spec: TarOutput, deps: ExporterDeps): Exporter {
  const dest = spec.dest === '-' ? undefined : deps.resolve(spec.dest);
  if (dest === undefined) checkStream(deps.stdout);
  else checkFileDestination(dest);
  return {
    name: 'exporting to client tarball',
    async export(results, { signal, events }) {
      const inputs = await attested(results, spec);
      const epoch = spec.sourceDateEpoch ?? inputs[0]?.sourceDateEpoch;
      const { tree, locate } = await flatten(placeInputs(inputs, spec.platformSplit), epoch);
      await reported(events, 'sending tarball', (update) => {
        const sink = dest === undefined ? streamSink(deps.stdout) : fileSink(dest);
        return withSink(sink, async () => {
          const { stream, contentSize } = await tarOf(tree, locate, { plain: true });
          let done = 0;
          for await (const block of stream.blocks) {
            if (signal.aborted) throw new BuildError({ code: 'cancelled', message: 'cancelled' });
            await sink.write(block);
            done += block.length;
            stream.release(block);
            update(done, Math.max(done, contentSize));
          }
        });
      });
      return {};
    },
  };
}

interface Flat {
  readonly tree: ReadonlyMap<TreePath, NodeEntry>;
  readonly locate: FileTree['locate'];
}

/** All entries of all platforms; with an epoch every time is it, as BuildKit does (exporter/local/fs.go). */
async function flatten(places: readonly PlacedInput[], epoch: number | undefined): Promise<Flat> {
  const entries: [TreePath, NodeEntry][] = [];
  const origins = new Map<TreePath, PlacedInput>();
  const claim = createClaims();
  for (const place of places) {
    const { input, directory } = place;
    if (directory !== undefined) entries.push([directory, directoryEntry(epoch ?? 0)]);
    for (const [path, entry] of await input.snapshot.files.walk('')) {
      const own = placedPath(path, directory);
      claim(own, entry, input.platform);
      const timed = epoch === undefined ? entry : { ...entry, mtime: epoch, mtimeNsec: 0 };
      entries.push([own, placedEntry(timed, directory)]);
      if (entry.type === 'file') origins.set(own, place);
    }
  }
  const isMerged = places.length > 1 && places.every(({ directory }) => directory === undefined);
  if (isMerged) entries.sort(([a], [b]) => compareTreePaths(a, b));
  return { tree: new Map(entries), locate: (paths) => locateAll(paths, origins) };
}

/** Asks each platform for its own files, all at once. */
async function locateAll(
  paths: Iterable<TreePath>,
  origins: ReadonlyMap<TreePath, PlacedInput>,
): Promise<Iterable<ContentLocation>> {
  const groups = new Map<PlacedInput, TreePath[]>();
  for (const path of paths) {
    const place = origins.get(path);
    if (place === undefined) continue;
    const own = groups.get(place);
    if (own === undefined) groups.set(place, [path]);
    else own.push(path);
  }
  const found = new Map<TreePath, ContentLocation>();
  for (const [place, own] of groups) {
    const strip = place.directory === undefined ? 0 : place.directory.length + 1;
    const locations = await place.input.snapshot.files.locate(own.map((path) => path.slice(strip)));
    let next = 0;
    for (const location of locations) found.set(own[next++] ?? '', location);
  }
  return Iterator.from(paths)
    .map((path) => found.get(path))
    .filter((location) => location !== undefined);
}
