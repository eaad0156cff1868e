/**
 * Where results go: the local store, a registry, an OCI layout, a docker archive, plain files, a tar. How a layer is
 * packed is `image/`, how a registry is spoken to is `registry/`.
 */
export * from './output.ts';
export { createExporter } from './exporter.ts';
export type { ExporterDeps } from './exporter.ts';
