import { parseAnnotation, parseOutput, type OutputSpec } from '../export/index.ts';
import { parseReference } from '../image/reference.ts';
import type { BuildOptions } from './options.ts';

/** -t alone means the local store; with another destination the names go into both. `--annotation` is for all images. */
export function destinationsOf(options: BuildOptions, outputs: readonly OutputSpec[]): readonly OutputSpec[] {
  const named = (options.tags ?? []).length > 0 && !outputs.some((spec) => spec.type === 'image');
  const all = named ? [parseOutput('type=image'), ...outputs] : outputs;
  const annotations = (options.annotations ?? []).flatMap(parseAnnotation);
  return all.map((spec) =>
    'annotations' in spec ? { ...spec, annotations: [...spec.annotations, ...annotations] } : spec,
  );
}

/** Registries that an output may reach in plain http or with a certificate nobody vouches for. */
export function insecureRegistries(options: BuildOptions, outputs: readonly OutputSpec[]): readonly string[] {
  return outputs.flatMap((spec) => {
    if (spec.type !== 'image' || !spec.insecure) return [];
    const names = (options.tags ?? []).length > 0 ? (options.tags ?? []) : spec.names;
    return names.map((name) => parseReference(name).domain);
  });
}
