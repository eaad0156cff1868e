/**
 * Statements as a manifest beside an image in its index (BuildKit: docs/attestations/attestation-storage.md). With OCI
 * media types it is an artifact that names the image as its subject; with Docker's, an image that nothing can run.
 */
import { BuildError } from '../../contracts/index.ts';
import { MEDIA_TYPES } from '../../image/index.ts';
import type { Descriptor, Manifest } from '../../image/index.ts';
import { encodeDocument, imageDocument, type ImageDocument } from '../document.ts';
import { PREDICATE_ANNOTATION, REFERENCE_DIGEST, REFERENCE_TYPE } from './names.ts';
import type { Statement } from './statement.ts';

const ARTIFACT_TYPE = 'application/vnd.docker.attestation.manifest.v1+json';
const STATEMENT_TYPE = 'application/vnd.in-toto+json';
const EMPTY_TYPE = 'application/vnd.oci.empty.v1+json';

/** What BuildKit takes for one statement. Bytes. */
const STATEMENT_MAX = 40 << 20;

export interface AttestationManifest {
  /** Its descriptor is what the index says of it. */
  readonly manifest: ImageDocument;
  /** Config and statements: the blobs that it refers to. */
  readonly blobs: readonly ImageDocument[];
}

/**
 * @param image Descriptor of the image's manifest.
 * @param statements At least one.
 * @throws BuildError `export` for one that readers would refuse for its size
 */
export function attestationManifest(
  image: Descriptor,
  statements: readonly Statement[],
  { ociMediaTypes }: { readonly ociMediaTypes: boolean },
): AttestationManifest {
  const documents = statements.map((statement) => {
    const document = imageDocument(STATEMENT_TYPE, Buffer.from(JSON.stringify(statement)));
    const { size } = document.descriptor;
    if (size > STATEMENT_MAX)
      throw new BuildError({
        code: 'export',
        message: `the attestation ${statement.predicateType} is too large: ${size} bytes of at most ${STATEMENT_MAX}`,
        hint: 'leave out what is not needed: --provenance=mode=min, or no --sbom',
      });
    const annotations = { [PREDICATE_ANNOTATION]: statement.predicateType };
    return { bytes: document.bytes, descriptor: { ...document.descriptor, annotations } };
  });
  const layers = documents.map(({ descriptor }) => descriptor);
  const config = ociMediaTypes ? emptyConfig() : imageConfig(layers);
  const mediaType = ociMediaTypes ? MEDIA_TYPES.ociManifest : MEDIA_TYPES.dockerManifest;
  const manifest: Manifest & { readonly artifactType?: string; readonly subject?: Descriptor } = {
    schemaVersion: 2,
    mediaType,
    ...(ociMediaTypes ? { artifactType: ARTIFACT_TYPE } : {}),
    config: config.descriptor,
    layers,
    ...(ociMediaTypes ? { subject: bare(image) } : {}),
  };
  const { bytes, descriptor } = imageDocument(mediaType, encodeDocument(manifest));
  return {
    manifest: {
      bytes,
      descriptor: {
        ...descriptor,
        annotations: { [REFERENCE_DIGEST]: image.digest, [REFERENCE_TYPE]: 'attestation-manifest' },
        platform: { architecture: 'unknown', os: 'unknown' },
      },
    },
    blobs: [config, ...documents],
  };
}

/** image-spec, "Guidance for an Empty Descriptor". */
function emptyConfig(): ImageDocument {
  const { bytes, descriptor } = imageDocument(EMPTY_TYPE, Buffer.from('{}'));
  const data = Buffer.from(bytes).toString('base64');
  return { bytes, descriptor: { ...descriptor, data } as Descriptor };
}

function imageConfig(layers: readonly Descriptor[]): ImageDocument {
  const config = {
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: layers.map(({ digest }) => digest) },
  };
  return imageDocument(MEDIA_TYPES.dockerConfig, Buffer.from(JSON.stringify(config)));
}

function bare({ mediaType, digest, size }: Descriptor): Descriptor {
  return { mediaType, digest, size };
}
