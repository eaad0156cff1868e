import { expect, test } from 'vitest';
import type { ContentLocation, ExportInput, FileTree } from '../../contracts/index.ts';
import { withAttestationFiles } from './files.ts';

/** Locations are made as one goes through them, which can be done once. */
const files: FileTree = {
  lookup: async () => undefined,
  list: async () => [],
  walk: async () => [],
  digests: async () => [],
  locate: async (paths) =>
    Iterator.from(paths).map((path): ContentLocation => ({ kind: 'bytes', data: Buffer.from(path) })),
};

test('files are found before and after the attestations', async () => {
  const input: ExportInput = {
    snapshot: { layers: [], files, inPlace: false },
    config: {},
    platform: { os: 'linux', architecture: 'amd64' },
    attest: async () => [{ type: 'https://slsa.dev/provenance/v1', content: {} }],
  };
  const { snapshot } = await withAttestationFiles(input, '');
  const locations = [...(await snapshot.files.locate(['a', 'b', 'provenance.json', 'x', 'y']))];
  const texts = locations.map((location) => (location.kind === 'bytes' ? Buffer.from(location.data).toString() : ''));
  expect(texts).toEqual(['a', 'b', expect.stringContaining('in-toto.io'), 'x', 'y']);
});
