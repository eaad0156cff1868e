import type { Descriptor } from './types.ts';

/** Where a layer's row keeps the URLs of a foreign layer: a note of ours, not part of any manifest. */
const URLS_NOTE = 'slipway/urls';

/**
 * Whether a layer may not be handed on: those who use it have it from its own URLs (image-spec, layer.md,
 * Non-Distributable Layers; Docker's foreign layers).
 */
export function isForeignLayer({ mediaType }: { readonly mediaType: string }): boolean {
  return mediaType.includes('nondistributable') || mediaType.includes('.foreign.');
}

/** The annotations of a layer with its URLs noted among them. */
export function withUrlsNoted({ annotations, urls }: Descriptor): Descriptor['annotations'] {
  return urls === undefined || urls.length === 0 ? annotations : { ...annotations, [URLS_NOTE]: JSON.stringify(urls) };
}

/** What `withUrlsNoted` noted, and the annotations without it. */
export function splitUrls(annotations: Descriptor['annotations']): Pick<Descriptor, 'annotations' | 'urls'> {
  const { [URLS_NOTE]: noted, ...others } = annotations ?? {};
  const rest = Object.keys(others).length === 0 ? {} : { annotations: others };
  return noted === undefined ? rest : { ...rest, urls: JSON.parse(noted) as readonly string[] };
}
