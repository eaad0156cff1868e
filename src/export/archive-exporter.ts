import { BuildError } from '../contracts/index.ts';
import type { ExportContext, Exporter } from '../contracts/index.ts';
import { TAR_END, encodeTarHeader, paddingOf } from '../image/index.ts';
import type { TarHeader } from '../image/index.ts';
import type { Store } from '../store/index.ts';
import type { ExporterDeps } from './exporter-deps.ts';
import { fileChunks } from './file-chunks.ts';
import { configsOf, documentKind, exportedImage, imageNames, ownLayersOf, makeImages, manifestsOf } from './image.ts';
import { fetchLayers } from './image-layers.ts';
import { LAYOUT_DIRECTORIES, layoutFiles } from './layout.ts';
import type { LayoutFile } from './layout.ts';
import { writeLayoutDirectory } from './layout-directory.ts';
import { daemonSink, findImageDaemon } from './load/index.ts';
import type { ImageDaemon } from './load/index.ts';
import type { ArchiveOutput } from './output-spec.ts';
import { reported } from './progress-report.ts';
import { checkFileDestination, checkStream, fileSink, streamSink, withSink } from './sink.ts';
import type { Sink } from './sink.ts';

/** `type=oci` and `type=docker`: a layout with the image, as a tar or a directory, or into Docker or Podman. */
export async function archiveExporter(spec: ArchiveOutput, deps: ExporterDeps): Promise<Exporter> {
  const names = imageNames(deps.names, spec);
  if (spec.type === 'docker' && deps.platforms.length > 1) {
    throw new BuildError({
      code: 'usage',
      message: `an archive for docker holds one platform, not ${deps.platforms.join(', ')}`,
      hint: 'use type=oci, push the image, or name one platform with --platform',
    });
  }
  const target = await findTarget(spec, deps);
  return {
    name: `exporting to ${spec.type === 'oci' ? 'oci' : 'docker'} image format`,
    async export(inputs, context) {
      const set = await makeImages(inputs, deps.store, spec, context, names);
      for (const { descriptor } of manifestsOf(set))
        await reported(
          context.events,
          `exporting ${documentKind(descriptor)} ${descriptor.digest}`,
          async () => undefined,
        );
      for (const { descriptor } of configsOf(set))
        await reported(context.events, `exporting config ${descriptor.digest}`, async () => undefined);
      await fetchLayers(ownLayersOf(set), deps.store);
      const options = { names, annotations: spec.annotations, docker: spec.type === 'docker' };
      if (target.kind === 'directory') await writeLayoutDirectory(target.path, set, options, deps.store, context);
      else {
        const sink = openSink(target, deps, context.signal);
        await writeArchive(layoutFiles(set, options), sink, deps.store, context);
      }
      return { image: exportedImage(set, names) };
    },
  };
}

type StreamTarget =
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'stdout' }
  | { readonly kind: 'daemon'; readonly daemon: ImageDaemon };
type Target = StreamTarget | { readonly kind: 'directory'; readonly path: string };

/** @throws BuildError when it is known now that nothing can be written there. */
async function findTarget({ dest, tar }: ArchiveOutput, deps: ExporterDeps): Promise<Target> {
  if (dest === undefined) return { kind: 'daemon', daemon: await findImageDaemon(deps.env) };
  if (dest === '-') {
    checkStream(deps.stdout);
    return { kind: 'stdout' };
  }
  const path = deps.resolve(dest);
  if (!tar) return { kind: 'directory', path };
  checkFileDestination(path);
  return { kind: 'file', path };
}

function openSink(target: StreamTarget, deps: ExporterDeps, signal: AbortSignal): Sink {
  switch (target.kind) {
    case 'file':
      return fileSink(target.path);
    case 'stdout':
      return streamSink(deps.stdout);
    case 'daemon':
      return daemonSink(target.daemon, signal);
  }
}

/** A tar of these files, in their order. */
export async function writeArchive(
  files: readonly LayoutFile[],
  sink: Sink,
  store: Store,
  context: ExportContext,
): Promise<void> {
  await reported(context.events, 'sending tarball', (update) =>
    withSink(sink, async () => {
      const total = files.reduce((sum, file) => sum + sizeOf(file), 0);
      let done = 0;
      for (const name of LAYOUT_DIRECTORIES)
        await sink.write(header({ type: 'directory', name: `${name}/`, mode: 0o755 }));
      for (const file of files) {
        const size = sizeOf(file);
        await sink.write(header({ type: 'file', name: file.name, size, mode: 0o444 }));
        if ('data' in file) await sink.write(file.data);
        else
          await copyBlob(store.blobPath(file.digest), size, sink, context.signal, (bytes) =>
            update(done + bytes, total),
          );
        await sink.write(TAR_END.subarray(0, paddingOf(size)));
        update((done += size), total);
      }
      await sink.write(TAR_END);
    }),
  );
}

/** Equal content is an equal archive: no times, no owners. */
function header(given: Pick<TarHeader, 'type' | 'name' | 'mode'> & { readonly size?: number }): Uint8Array {
  return encodeTarHeader({ size: 0, target: '', uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, major: 0, minor: 0, ...given });
}

async function copyBlob(
  path: string,
  size: number,
  sink: Sink,
  signal: AbortSignal,
  report: (bytes: number) => void,
): Promise<void> {
  let done = 0;
  for await (const chunk of fileChunks(path)) {
    if (signal.aborted) throw new BuildError({ code: 'cancelled', message: 'cancelled' });
    await sink.write(chunk);
    report((done += chunk.length));
  }
  if (done === size) return;
  throw new BuildError({
    code: 'store',
    message: `${path} has ${done} bytes, ${size} were expected`,
    hint: 'build again with --no-cache',
  });
}

function sizeOf(file: LayoutFile): number {
  return 'data' in file ? file.data.length : file.size;
}
