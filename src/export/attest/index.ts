/**
 * Attestations: what is said of an image beside it, on demand. Provenance says from what and how it was built, a software
 * bill of materials what is in it.
 *
 *     provenance.ts   SLSA v1, from what `api/` knows of the build
 *     sbom/           scan.ts reads the file system, spdx.ts writes what it found
 *     statement.ts    binds either to the digest of an image
 *     manifest.ts     puts statements beside the image, in an index, as BuildKit does
 *
 * Nothing here is signed: that is for tools such as cosign.
 */
export { attestationManifest } from './manifest.ts';
export { isAttestation, PREDICATE_ANNOTATION, REFERENCE_DIGEST } from './names.ts';
export type { AttestationManifest } from './manifest.ts';
export { parseAttestations } from './parse-attest.ts';
export type { AttestationRequest } from './parse-attest.ts';
export { imageUrl } from './package-url.ts';
export { provenance } from './provenance.ts';
export type { Material, ProvenanceInput, ProvenanceMode, ProvenanceStep } from './provenance.ts';
export { PREDICATE_TYPES, statementOf } from './statement.ts';
export type { Predicate, Statement } from './statement.ts';
export { takeInventory } from './sbom/scan.ts';
export { spdx } from './sbom/spdx.ts';
export type { Inventory, LayerStep } from './sbom/types.ts';
