import type { Exporter } from '../contracts/index.ts';
import { encodeTarHeader, paddingOf, TAR_END, type TarHeader } from '../image/index.ts';
import { contentOf, located, type LocatedEntry } from './content.ts';
import { exportError, openDestination, type Destination } from './destination.ts';
import type { ExporterDeps } from './exporter.ts';
import { status } from './status.ts';

/** The flattened file system as one tar, in tree order. */
export function rootTarExporter(dest: string, deps: ExporterDeps): Exporter {
  return {
    name: 'exporting to client tarball',
    export: async (input, context) => {
      const report = status(context.events, 'sending tarball');
      const destination = await openDestination(dest, deps.stdout);
      try {
        for await (const batch of located(input.snapshot.files)) {
          context.signal.throwIfAborted();
          for (const item of batch) await writeEntry(destination, item, input.sourceDateEpoch);
        }
        await destination.write(TAR_END);
        await destination.commit();
      } catch (error) {
        await destination.abort();
        throw exportError(dest, error);
      }
      report.done();
      return {};
    },
  };
}

async function writeEntry(
  destination: Destination,
  { path, entry, location }: LocatedEntry,
  epoch: number | undefined,
): Promise<void> {
  if (entry.type === 'socket') return;
  const hardlink = entry.type === 'file' ? entry.hardlink : undefined;
  const size = entry.type === 'file' && hardlink === undefined ? entry.size : 0;
  const late = epoch !== undefined && entry.mtime >= epoch;
  const device = entry.type === 'char-device' || entry.type === 'block-device';
  const header: TarHeader = {
    name: entry.type === 'directory' ? `${path}/` : path,
    type: hardlink === undefined ? entry.type : 'hardlink',
    target: hardlink ?? (entry.type === 'symlink' ? entry.target : ''),
    mode: entry.mode,
    uid: entry.uid,
    gid: entry.gid,
    size,
    mtime: late ? epoch : entry.mtime,
    mtimeNsec: 0,
    major: device ? entry.major : 0,
    minor: device ? entry.minor : 0,
    xattrs: entry.xattrs,
  };
  await destination.write(encodeTarHeader(header));
  if (entry.type !== 'file' || location === undefined || size === 0) return;
  // A stream may keep what it is given until it is flushed; the chunk is overwritten before that.
  for (const chunk of contentOf(path, entry, location)) await destination.write(Buffer.from(chunk));
  const padding = paddingOf(size);
  if (padding > 0) await destination.write(new Uint8Array(padding));
}
