import type { Vertex } from '../llb/index.ts';

/** A build context: read in place, never found. */
export function isLocal({ op }: Vertex): boolean {
  return op.kind === 'source' && op.identifier.startsWith('local://');
}

export function isImage({ op }: Vertex): boolean {
  return op.kind === 'source' && /^(docker-image|oci-layout):\/\//.test(op.identifier);
}
