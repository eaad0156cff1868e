/**
 * Where results go: an image in the store, a registry, an OCI layout or a docker archive, a directory, a tar. Whatever the
 * destination, the image is made once and in one way (`image/`); a destination moves its blobs.
 *
 * Not here: how layers are packed (`image/` the room), the distribution protocol (`registry/`).
 */
export * from './output-spec.ts';
export { parseOutput } from './parse-output.ts';
