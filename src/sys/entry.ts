/**
 * The file of a thread or child process of ours. In the source tree it is the `.ts` file named relative to the caller; in
 * the bundle every entry lies flat in `dist/` under its base name.
 *
 * @param importMetaUrl `import.meta.url` of the caller.
 * @param file The entry relative to the caller, as `./hash-thread.ts`. Base names are unique in the whole source tree.
 */
export function entryUrl(importMetaUrl: string, file: string): URL {
  if (importMetaUrl.endsWith('.ts')) return new URL(file, importMetaUrl);
  const base = file.slice(file.lastIndexOf('/') + 1).replace(/\.ts$/, '.cjs');
  return new URL(`./${base}`, importMetaUrl);
}
