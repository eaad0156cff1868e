import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import type { ExportInput } from '../../contracts/index.ts';
import type { Index, Manifest } from '../../image/index.ts';
import { createRegistry, type Registry } from '../../registry/index.ts';
import { createExporter } from '../create-exporter.ts';
import { parseOutput } from '../parse-output.ts';
import { openFixture, sha256, type Fixture } from '../testing/fixture.ts';
import { attestationManifest } from './manifest.ts';

let fixture: Fixture;
let registry: Registry;
beforeAll(async () => {
  fixture = await openFixture();
  registry = createRegistry({ env: {} });
});
afterAll(async () => {
  await registry.close();
  fixture.close();
});

const PREDICATES = [
  { type: 'https://spdx.dev/Document', content: { name: 'x' } },
  { type: 'https://slsa.dev/provenance/v1', content: { y: 1 } },
];

/** Exports into a layout directory; what its blobs are, as JSON. */
async function exported(name: string, words: string, inputs: readonly ExportInput[]) {
  const dest = join(fixture.dir, name);
  const exporter = await createExporter(parseOutput(`type=oci,tar=false,dest=${dest}${words}`), {
    store: fixture.store,
    registry,
    stdout: process.stdout,
    names: ['example.com/app:1'],
    attests: true,
  });
  const result = await exporter.export(inputs, fixture.context);
  await result.publish?.(fixture.context);
  const read = (digest: string): unknown => {
    const bytes = readFileSync(join(dest, 'blobs/sha256', digest.slice('sha256:'.length)));
    expect(sha256(bytes)).toBe(digest);
    return JSON.parse(bytes.toString('utf8'));
  };
  const top = JSON.parse(readFileSync(join(dest, 'index.json'), 'utf8')) as Index;
  return { root: read(top.manifests[0]?.digest ?? ''), read };
}

it('puts statements beside the image, in an index', async () => {
  const layer = fixture.layer({ a: 'a' });
  let seen: readonly string[] = [];
  const attest: ExportInput['attest'] = async (diffIds) => {
    seen = diffIds;
    return PREDICATES;
  };
  const { root, read } = await exported('one', '', [fixture.input([layer], { attest })]);
  const { mediaType, manifests } = root as Index;
  expect(mediaType).toBe('application/vnd.oci.image.index.v1+json');
  const [image, attestation] = manifests;
  expect(image?.platform).toEqual({ os: 'linux', architecture: 'amd64' });
  expect(attestation).toMatchObject({
    platform: { os: 'unknown', architecture: 'unknown' },
    annotations: {
      'vnd.docker.reference.type': 'attestation-manifest',
      'vnd.docker.reference.digest': image?.digest,
    },
  });
  const manifest = read(attestation?.digest ?? '') as Manifest & Record<string, unknown>;
  expect(manifest).toMatchObject({
    artifactType: 'application/vnd.docker.attestation.manifest.v1+json',
    config: { mediaType: 'application/vnd.oci.empty.v1+json', size: 2, data: 'e30=' },
    subject: { mediaType: image?.mediaType, digest: image?.digest, size: image?.size },
  });
  expect(manifest.layers.map(({ mediaType: type, annotations }) => [type, annotations])).toEqual(
    PREDICATES.map(({ type }) => ['application/vnd.in-toto+json', { 'in-toto.io/predicate-type': type }]),
  );
  expect(read(manifest.config.digest)).toEqual({});
  expect(read(manifest.layers[0]?.digest ?? '')).toEqual({
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: PREDICATES[0]?.type,
    subject: [
      {
        name: 'pkg:docker/example.com/app@1?platform=linux%2Famd64',
        digest: { sha256: image?.digest.slice('sha256:'.length) },
      },
    ],
    predicate: { name: 'x' },
  });
  const { rootfs } = read((read(image?.digest ?? '') as Manifest).config.digest) as {
    rootfs: { diff_ids: readonly string[] };
  };
  expect(seen).toEqual(rootfs.diff_ids);
});

it('speaks of each of several platforms, after all of them', async () => {
  const layer = fixture.layer({ b: 'b' });
  const inputs = ['amd64', 'arm64'].map((architecture) =>
    fixture.input([layer], {
      platform: { os: 'linux', architecture },
      config: { os: 'linux', architecture },
      attest: async () => [{ type: 'x', content: { architecture } }],
    }),
  );
  const { root } = await exported('two', ',annotation-index.k=v', inputs);
  const { manifests } = root as Index;
  expect(manifests.map(({ platform }) => platform?.architecture)).toEqual(['amd64', 'arm64', 'unknown', 'unknown']);
  expect(manifests.slice(2).map(({ annotations }) => annotations?.['vnd.docker.reference.digest'])).toEqual(
    manifests.slice(0, 2).map(({ digest }) => digest),
  );
});

it('is an image that nothing can run where the media types are those of Docker', async () => {
  const layer = fixture.layer({ c: 'c' });
  const input = fixture.input([layer], { attest: async () => PREDICATES });
  const { root, read } = await exported('docker', ',oci-mediatypes=false', [input]);
  const attestation = (root as Index).manifests[1];
  const manifest = read(attestation?.digest ?? '') as Manifest;
  expect(manifest).not.toHaveProperty('subject');
  expect(manifest).not.toHaveProperty('artifactType');
  expect(read(manifest.config.digest)).toEqual({
    architecture: 'unknown',
    os: 'unknown',
    config: {},
    rootfs: { type: 'layers', diff_ids: manifest.layers.map(({ digest }) => digest) },
  });
});

it('leaves one platform one plain manifest when there is nothing to say', async () => {
  const layer = fixture.layer({ d: 'd' });
  const silent = await exported('silent', '', [fixture.input([layer], { attest: async () => [] })]);
  const plain = await exported('plain', '', [fixture.input([layer])]);
  expect(plain.root).toHaveProperty('layers');
  expect(silent.root).toEqual(plain.root);
});

it('refuses a statement that no reader would take', () => {
  const image = { mediaType: 'x', digest: sha256(''), size: 0 };
  const predicate = { text: 'x'.repeat((40 << 20) + 1) };
  const statement = { _type: 'https://in-toto.io/Statement/v0.1', predicateType: 'x', subject: [], predicate } as const;
  expect(() => attestationManifest(image, [statement], { ociMediaTypes: true })).toThrow(/too large/);
});
