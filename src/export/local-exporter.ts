import { mkdirSync, statSync } from 'node:fs';
import { setImmediate } from 'node:timers/promises';
import { BuildError } from '../contracts/index.ts';
import type { ContentLocation, Exporter, ExportInput, FileTree, NodeEntry, TreePath } from '../contracts/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import type { LocalOutput } from './output-spec.ts';
import { createClaims, directoryEntry, placeInputs, placedEntry, placedPath } from './place-inputs.ts';
import { reported } from './progress-report.ts';
import { checkWritable, destinationError } from './sink.ts';

/** Entries written between two looks at the rest of the world. */
const BATCH = 100;

/** `type=local`: the flattened file system below a directory of the user, owned by the user. */
export function localExporter(spec: LocalOutput, deps: ExporterDeps): Exporter {
  const base = deps.resolve(spec.dest);
  checkDirectory(base);
  return {
    name: 'exporting to client directory',
    async export(results, { signal, events }) {
      const inputs = await attested(results, spec);
      await reported(events, 'copying files', async (update) => {
        const { LocalWriter } = await import('./local-writer.ts');
        try {
          mkdirSync(base, { recursive: true });
        } catch (error) {
          throw destinationError(error, base);
        }
        const places = placeInputs(inputs, spec.platformSplit);
        const writer = new LocalWriter(base, spec.sourceDateEpoch ?? inputs[0]?.sourceDateEpoch);
        try {
          const kept = new Set<TreePath>();
          const claim = createClaims();
          let done = 0;
          for (const { input, directory } of places) {
            if (directory !== undefined) {
              kept.add(directory);
              writer.write(directory, directoryEntry(Math.floor(Date.now() / 1000)), undefined);
            }
            for await (const batch of batches(input.snapshot.files)) {
              if (signal.aborted) throw new BuildError({ code: 'cancelled', message: 'cancelled' });
              for (const { path, entry, location } of batch) {
                const own = placedPath(path, directory);
                claim(own, entry, input.platform);
                kept.add(own);
                done += writer.write(own, placedEntry(entry, directory), location);
              }
              update(done, done);
              await setImmediate();
            }
          }
          if (spec.mode === 'delete') writer.removeOthers(kept);
          writer.finish();
        } catch (error) {
          throw error instanceof BuildError && (error.code === 'context' || error.code === 'export')
            ? error
            : destinationError(error, base);
        } finally {
          writer.close();
        }
      });
      return {};
    },
  };
}

/** What is said of the results goes beside their files. */
export async function attested(
  results: readonly ExportInput[],
  { attestationPrefix = '' }: Pick<LocalOutput, 'attestationPrefix'>,
): Promise<readonly ExportInput[]> {
  if (results.every(({ attest }) => attest === undefined)) return results;
  const { withAttestationFiles } = await import('./attest/files.ts');
  return await Promise.all(results.map(async (result) => await withAttestationFiles(result, attestationPrefix)));
}

/** @throws BuildError `export`, `permission`: there is something else, or it may not be written. */
function checkDirectory(path: string): void {
  const stats = statSync(path, { throwIfNoEntry: false });
  if (stats === undefined) return;
  if (!stats.isDirectory()) {
    throw new BuildError({
      code: 'export',
      message: `${path} is no directory`,
      hint: 'name a directory, or remove it',
    });
  }
  checkWritable(path);
}

interface Item {
  readonly path: TreePath;
  readonly entry: NodeEntry;
  readonly location: ContentLocation | undefined;
}

/** Everything, parents first, with the places of the bytes; asked for all at once, as a lazy layer is read once then. */
async function* batches(files: FileTree): AsyncGenerator<readonly Item[]> {
  const entries = [...(await files.walk(''))];
  const paths = entries.filter(([, entry]) => hasBytes(entry)).map(([path]) => path);
  const locations = Iterator.from(await files.locate(paths));
  for (let at = 0; at < entries.length; at += BATCH) {
    yield entries.slice(at, at + BATCH).map(([path, entry]) => ({
      path,
      entry,
      location: hasBytes(entry) ? locations.next().value : undefined,
    }));
  }
}

function hasBytes(entry: NodeEntry): boolean {
  return entry.type === 'file' && entry.hardlink === undefined && entry.size > 0;
}
