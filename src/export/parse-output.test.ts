import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { BuildError } from '../contracts/index.ts';
import { parseOutput } from './parse-output.ts';

const image = {
  names: [],
  ociMediaTypes: true,
  compression: 'gzip',
  compressionLevel: undefined,
  forceCompression: false,
  rewriteTimestamp: true,
  sourceDateEpoch: undefined,
  annotations: [],
};
const stored = { type: 'image', ...image, push: false, pushByDigest: false, insecure: false, store: true };

test.each<[string, object]>([
  ['out', { type: 'local', dest: 'out', mode: 'copy', platformSplit: undefined }],
  ['./a dir', { type: 'local', dest: './a dir' }],
  ['-', { type: 'tar', dest: '-' }],
  ['type=local,dest=out,mode=delete', { type: 'local', mode: 'delete' }],
  ['type=tar', { type: 'tar', dest: '-' }],
  ['type=tar,dest=x.tar,source-date-epoch=7', { type: 'tar', dest: 'x.tar', sourceDateEpoch: 7 }],
  ['type=image', stored],
  ['type=image,name=a', { ...stored, names: ['a'] }],
  ['type=image,"name=a:1,b:2",push=true', { ...stored, names: ['a:1', 'b:2'], push: true }],
  ['type=registry,name=a', { ...stored, names: ['a'], push: true, store: false }],
  ['TYPE=image, push=1', { ...stored, push: true }],
  ['type=oci', { type: 'oci', ...image, dest: '-', tar: true }],
  ['type=oci,dest=x,tar=false', { type: 'oci', ...image, dest: 'x', tar: false }],
  ['type=docker', { type: 'docker', ...image, dest: undefined, tar: true }],
  ['type=docker,dest=-', { type: 'docker', dest: '-' }],
  ['type=oci,dest=a=b', { dest: 'a=b' }],
  ['type=oci,"dest=with ""quotes"" and, comma"', { dest: 'with "quotes" and, comma' }],
  ['type=oci,compression=zstd,oci-mediatypes=false', { compression: 'zstd', ociMediaTypes: true }],
  ['type=oci,compression=zstd,compression-level=22', { compressionLevel: 22 }],
  ['type=oci,force-compression=true,oci-mediatypes=false', { forceCompression: true, ociMediaTypes: false }],
  ['type=oci,unpack=true,prefer-nondist-layers=true', { type: 'oci' }],
  [
    'type=oci,annotation.Org.Key=v,annotation-manifest[linux/aarch64].b=w',
    {
      annotations: [
        { target: 'manifest', platform: undefined, key: 'Org.Key', value: 'v' },
        { target: 'manifest', platform: 'linux/arm64', key: 'b', value: 'w' },
      ],
    },
  ],
  ['type=oci,annotation-index-descriptor.k=v', { annotations: [{ target: 'index-descriptor', key: 'k', value: 'v' }] }],
  ['type=cacheonly', { type: 'cacheonly' }],
])('%s', (text, expected) => expect(parseOutput(text)).toMatchObject(expected));

describe('refused', () => {
  test.each<[string, string, string | undefined]>([
    ['', 'usage', undefined],
    ['dest=x,tar=true', 'usage', 'type='],
    ['type=', 'usage', undefined],
    ['type=ocl,dest=x', 'usage', 'did you mean oci?'],
    ['type=whatever', 'usage', 'types are image'],
    ['type=oci,dset=x', 'usage', 'did you mean dest?'],
    ['type=local', 'usage', 'dest='],
    ['type=local,dest=-', 'usage', 'type=tar'],
    ['type=local,dest=x,compression=gzip', 'usage', 'attributes are'],
    ['type=oci,tar=maybe', 'usage', 'true or false'],
    ['type=oci,tar=false', 'usage', 'dest='],
    ['type=oci,compression=lzma', 'usage', 'estargz'],
    ['type=oci,compression=estargz,oci-mediatypes=false', 'usage', 'true with'],
    ['type=oci,compression=estargz,compression-level=10', 'usage', '1 to 9'],
    ['type=oci,compression-level=99', 'usage', '1 to 9 for gzip'],
    ['type=oci,compression-level=x', 'usage', 'whole number'],
    ['type=local,dest=x,mode=move', 'usage', 'copy or delete'],
    ['type=oci,dest', 'usage', 'KEY=VALUE'],
    ['type=oci,annotation-indexes.k=v', 'usage', 'index-descriptor'],
    ['type=oci,annotation-index[linux/amd64].k=v', 'usage', 'leave'],
    ['type=oci,annotation-manifest[arm64].k=v', 'usage', 'linux/amd64'],
    ['type=oci,annotationx=v', 'usage', 'attributes are'],
    ['type=oci,"dest=x', 'usage', undefined],
    ['type=oci,dest="x"', 'usage', undefined],
    ['type=cacheonly,dest=x', 'usage', 'none'],
  ])('%s', (text, code, hint) => {
    const error = ((): unknown => {
      try {
        return parseOutput(text);
      } catch (caught) {
        return caught;
      }
    })();
    expect(error).toBeInstanceOf(BuildError);
    expect(error).toMatchObject({ code });
    if (hint !== undefined) expect((error as BuildError).hint).toContain(hint);
  });
});

test('no text makes anything but an output or a BuildError', () => {
  fc.assert(
    fc.property(
      fc.oneof(
        fc.string(),
        fc.string().map((s) => `type=oci,${s}`),
      ),
      (text) => {
        try {
          parseOutput(text);
        } catch (error) {
          expect(error).toBeInstanceOf(BuildError);
        }
      },
    ),
  );
});
