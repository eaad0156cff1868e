import { describe, expect, it } from 'vitest';
import { withoutCredentials } from '../../progress/index.ts';
import { imageUrl } from './package-url.ts';
import { provenance, type ProvenanceInput } from './provenance.ts';
import { statementOf } from './statement.ts';

const CANARY = 'canary-55ab1c';
const DIGEST = `sha256:${'a'.repeat(64)}` as const;

const INPUT: ProvenanceInput = {
  mode: 'max',
  builderId: '',
  builderVersion: { slipway: '0.1.0' },
  builderPlatform: 'linux/amd64',
  configSource: { path: 'Dockerfile' },
  args: { target: 'app', 'build-arg:VERSION': '1', 'label:team': 'x' },
  locals: ['context'],
  secrets: [{ id: 'token', optional: false }],
  ssh: [{ id: 'default', optional: true }],
  materials: [
    { uri: 'https://example.com/a.tar', digest: { sha256: 'b'.repeat(64) } },
    { uri: 'https://example.com/a.tar', digest: { sha256: 'b'.repeat(64) } },
    { uri: imageUrl('docker.io/library/alpine:3.20', 'linux/amd64'), digest: { sha256: 'a'.repeat(64) } },
  ],
  hermetic: false,
  reproducible: false,
  invocationId: 'id',
  started: 1_700_000_000_000,
  finished: 1_700_000_001_500,
  steps: [{ id: 'step0', op: { Op: {} }, inputs: [], lines: [{ start: 2, end: 3 }] }],
  dockerfile: { filename: 'Dockerfile', text: 'FROM alpine\n' },
  hidden: [],
};

describe('provenance', () => {
  it('names images, URLs and times', () => {
    expect(provenance(INPUT)).toMatchObject({
      type: 'https://slsa.dev/provenance/v1',
      content: {
        buildDefinition: {
          resolvedDependencies: [
            { uri: 'https://example.com/a.tar', digest: { sha256: 'b'.repeat(64) } },
            { uri: 'pkg:docker/alpine@3.20?platform=linux%2Famd64', digest: { sha256: 'a'.repeat(64) } },
          ],
        },
        runDetails: {
          metadata: { startedOn: '2023-11-14T22:13:20Z', finishedOn: '2023-11-14T22:13:21.5Z' },
        },
      },
    });
  });

  it('tells arguments, secrets by id, steps and the Dockerfile with mode=max', () => {
    const { content } = provenance(INPUT);
    expect(content).toMatchObject({
      buildDefinition: {
        externalParameters: {
          request: {
            args: { target: 'app', 'build-arg:VERSION': '1', 'label:team': 'x' },
            secrets: [{ id: 'token', optional: false }],
            ssh: [{ id: 'default', optional: true }],
            locals: [{ name: 'context' }],
          },
        },
        internalParameters: { buildConfig: { llbDefinition: [{ id: 'step0', inputs: [] }] } },
      },
      runDetails: {
        metadata: {
          buildkit_completeness: { request: true, resolvedDependencies: false },
          buildkit_metadata: {
            source: {
              locations: { step0: { locations: [{ ranges: [{ start: { line: 2 }, end: { line: 3 } }] }] } },
              infos: [{ data: Buffer.from('FROM alpine\n').toString('base64') }],
            },
          },
        },
      },
    });
  });

  it('leaves them out with mode=min', () => {
    const { content } = provenance({ ...INPUT, mode: 'min' });
    expect(content).toMatchObject({
      buildDefinition: { externalParameters: { request: { args: { target: 'app' } } } },
      runDetails: { metadata: { buildkit_metadata: {}, buildkit_completeness: { request: false } } },
    });
    const text = JSON.stringify(content);
    for (const word of ['VERSION', 'team', 'token', 'llbDefinition', 'infos']) expect(text).not.toContain(word);
  });

  it('hides a secret wherever else it was written', () => {
    const { content } = provenance({
      ...INPUT,
      args: { 'build-arg:TOKEN': CANARY, [`build-arg:${CANARY}`]: '' },
      materials: [{ uri: `https://example.com/?key=${CANARY}`, digest: {} }],
      steps: [{ id: 'step0', op: { env: [`TOKEN=${CANARY}`] }, inputs: [], lines: [] }],
      dockerfile: { filename: 'Dockerfile', text: `ARG TOKEN=${CANARY}\n` },
      hidden: [`${CANARY}\n`],
    });
    const text = JSON.stringify(content);
    expect(text).not.toContain(CANARY);
    expect(text).toContain(Buffer.from('ARG TOKEN=*****\n').toString('base64'));
  });
});

it.each([
  ['https://user:pass@host/x', 'https://host/x'],
  ['https://ghp_token@github.com/a/b.git#main', 'https://github.com/a/b.git#main'],
  ['ssh://git@github.com/a/b.git', 'ssh://git@github.com/a/b.git'],
  ['ftp://user:pass@host/x', 'ftp://host/x'],
  ['git@github.com:a/b.git', 'git@github.com:a/b.git'],
  ['curl https://a:b@x/ && curl https://c@y/', 'curl https://x/ && curl https://y/'],
  ['https://host/@scope/a', 'https://host/@scope/a'],
])('keeps credentials out of %s', (text, wanted) => {
  expect(withoutCredentials(text)).toBe(wanted);
});

it.each([
  ['alpine:3.20', undefined, 'pkg:docker/alpine@3.20'],
  ['ghcr.io/a/b:1', 'linux/arm/v7', 'pkg:docker/ghcr.io/a/b@1?platform=linux%2Farm%2Fv7'],
  ['localhost:5000/app:1', undefined, 'pkg:docker/localhost:5000/app@1'],
])('names the image %s', (reference, platform, wanted) => {
  expect(imageUrl(reference, platform)).toBe(wanted);
});

it('binds a predicate to the digest of a manifest, under a name or without', () => {
  const predicate = { type: 'x', content: { y: 1 } };
  expect(statementOf(predicate, [], DIGEST)).toEqual({
    _type: 'https://in-toto.io/Statement/v0.1',
    predicateType: 'x',
    subject: [{ name: '_', digest: { sha256: 'a'.repeat(64) } }],
    predicate: { y: 1 },
  });
  expect(statementOf(predicate, ['pkg:docker/a@1'], DIGEST).subject[0]?.name).toBe('pkg:docker/a@1');
});
