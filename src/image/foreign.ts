/**
 * Whether a layer may not be handed on: those who use it have it from its own URLs (image-spec, layer.md,
 * Non-Distributable Layers; Docker's foreign layers).
 */
export function isForeignLayer({ mediaType }: { readonly mediaType: string }): boolean {
  return mediaType.includes('nondistributable') || mediaType.includes('.foreign.');
}
