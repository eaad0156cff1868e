import { BuildError } from '../contracts/index.ts';
import type { Exporter, FileTree, NodeEntry, TreePath } from '../contracts/index.ts';
import { encodeTarHeader, tarOf } from '../image/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import type { TarOutput } from './output-spec.ts';
import { platformDirectory } from './platform-directory.ts';
import { reported } from './progress-report.ts';
import { checkFileDestination, fileSink, streamSink, withSink } from './sink.ts';

/** `type=tar`: the flattened file system as one tar, in tree order; the same files give the same bytes. */
export function tarExporter(spec: TarOutput, deps: ExporterDeps): Exporter {
  const dest = spec.dest === '-' ? undefined : deps.resolve(spec.dest);
  if (dest !== undefined) checkFileDestination(dest);
  return {
    name: 'exporting to client tarball',
    async export({ snapshot, platform, sourceDateEpoch }, { signal, events }) {
      const epoch = spec.sourceDateEpoch ?? sourceDateEpoch;
      await reported(events, 'sending tarball', (update) => {
        const sink = dest === undefined ? streamSink(deps.stdout) : fileSink(dest);
        return withSink(sink, async () => {
          const prefix = spec.platformSplit ? platformDirectory(platform) : undefined;
          if (prefix !== undefined) await sink.write(directoryHeader(prefix, epoch));
          const tree = await flatten(snapshot.files, prefix, epoch);
          const strip = prefix === undefined ? 0 : prefix.length + 1;
          const locate: FileTree['locate'] = (paths) => snapshot.files.locate(paths.map((path) => path.slice(strip)));
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

/** All entries; with an epoch every time is it, as BuildKit does (exporter/local/fs.go). */
async function flatten(
  files: FileTree,
  prefix: string | undefined,
  epoch: number | undefined,
): Promise<ReadonlyMap<TreePath, NodeEntry>> {
  const tree = new Map<TreePath, NodeEntry>();
  const inside = (path: TreePath): TreePath => (prefix === undefined ? path : `${prefix}/${path}`);
  for (const [path, entry] of await files.walk('')) {
    const timed = epoch === undefined ? entry : { ...entry, mtime: epoch, mtimeNsec: 0 };
    const isLink = timed.type === 'file' && timed.hardlink !== undefined;
    tree.set(inside(path), isLink ? { ...timed, hardlink: inside(timed.hardlink ?? path) } : timed);
  }
  return tree;
}

function directoryHeader(name: string, epoch = 0): Uint8Array {
  const rest = { target: '', uid: 0, gid: 0, size: 0, mtimeNsec: 0, major: 0, minor: 0 };
  return encodeTarHeader({ type: 'directory', name: `${name}/`, mode: 0o755, mtime: epoch, ...rest });
}
