/**
 * Where results go: an image in the store, a registry, an OCI layout or a docker archive, a directory, a tar. Whatever the
 * destination, the image is made once and in one way; a destination moves its blobs.
 *
 *     -o words --parse-output--> OutputSpec --create-exporter--> Exporter
 *     image.ts       layers (image-layers.ts), config (image-config.ts) and manifest; then
 *     image-exporter.ts   store and, by push.ts, registries
 *     archive-exporter.ts  layout.ts as a tar, as a directory (layout-directory.ts), or into Docker or Podman (load/)
 *     local-exporter.ts, tar-exporter.ts   the flattened files, without an image
 *     attest/        what is said of an image beside it, on demand
 *     sink.ts        files that appear whole or not at all, pipes, programs
 *
 * Not here: how a layer is packed (`image/`), the distribution protocol (`registry/`).
 */
export { annotationsFor, checkAnnotations, parseAnnotation } from './annotations.ts';
export type { Annotation } from './annotations.ts';
export { encodeDocument } from './document.ts';
export { parseCsv } from './csv.ts';
export { createExporter } from './create-exporter.ts';
export type { ExporterSurroundings } from './create-exporter.ts';
export * from './output-spec.ts';
export { giveNames, prepareNames } from './names.ts';
export { reportProgress } from './progress-report.ts';
export { parseOutput } from './parse-output.ts';
export type { ArchivedImage } from './save-archive.ts';
export type { LocalWriter } from './local-writer.ts';
export type { Sink } from './sink.ts';

export { parseAttestations } from './attest/parse-attest.ts';
export type { AttestationRequest, AttestationWords } from './attest/parse-attest.ts';
export type { LayerStep, Material, ProvenanceStep } from './attest/index.ts';

/** Makers of attestations. Loaded when one is asked for. */
export const loadAttest = async () => await import('./attest/index.ts');

export type { ImageDaemon } from './load/index.ts';

/** For engines that get finished bytes: where files and archives go. Loaded when they are needed. */
export const loadSinks = async () => await import('./sink.ts');
export const loadArchives = async () => await import('./save-archive.ts');
export const loadDaemons = async () => await import('./load/index.ts');
export const loadLocalWriter = async () => (await import('./local-writer.ts')).LocalWriter;
export type * from './cache/target.ts';
export const loadCacheExport = async () => await import('./cache/index.ts');
export type * from './cache-mounts/types.ts';
export const loadMountExport = async () => await import('./cache-mounts/index.ts');
