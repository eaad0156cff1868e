import { describe, expect, it } from 'vitest';
import { parseAttestations, type AttestationWords } from './parse-attest.ts';

const max = { mode: 'max', builderId: '', reproducible: false };

describe('attestation words', () => {
  it.each<[AttestationWords, unknown]>([
    [{}, {}],
    [{ provenance: 'true' }, { provenance: max }],
    [{ provenance: '' }, { provenance: max }],
    [{ provenance: 'mode=min' }, { provenance: { ...max, mode: 'min' } }],
    [{ provenance: 'mode=max,builder-id=https://x/1' }, { provenance: { ...max, builderId: 'https://x/1' } }],
    [{ provenance: 'false' }, {}],
    [{ sbom: 'true' }, { sbom: true }],
    [{ sbom: 'false', attest: ['type=sbom'] }, {}],
    [{ attest: ['type=provenance,mode=min,inline-only=true'] }, { provenance: { ...max, mode: 'min' } }],
    [{ attest: ['type=sbom,disabled=true'] }, {}],
    [
      { attest: ['type=sbom', 'type=provenance,reproducible=true'] },
      { sbom: true, provenance: { ...max, reproducible: true } },
    ],
  ])('%j', (words, wanted) => {
    expect(parseAttestations(words)).toEqual(wanted);
  });

  it.each<[AttestationWords, string, RegExp]>([
    [{ provenance: 'mode=all' }, 'usage', /no mode all/],
    [{ provenance: 'max' }, 'usage', /"max" is not NAME=VALUE/],
    [{ attest: ['mode=max'] }, 'usage', /no type/],
    [{ attest: ['type=signature'] }, 'usage', /no type signature/],
    [{ attest: ['type=sbom,depth=2'] }, 'usage', /no depth/],
    [{ provenance: 'version=v0.2' }, 'unsupported', /v0\.2/],
    [{ sbom: 'generator=docker/scanner' }, 'unsupported', /generator/],
  ])('refuses %j', (words, code, message) => {
    let error: unknown;
    try {
      parseAttestations(words);
    } catch (thrown) {
      error = thrown;
    }
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) as unknown });
  });
});
