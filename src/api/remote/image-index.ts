/** Joins what several nodes made to one index, in a registry or a layout. */
import { createReadStream } from 'node:fs';
import { cp, mkdir, mkdtemp, readdir, readFile, rm, stat, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { topOf, type RemoteOutput } from '../../buildkit/index.ts';
import { BuildError, type Digest, type RemoteResult } from '../../contracts/index.ts';
import { loadSinks } from '../../export/index.ts';
import {
  digestOf,
  encodeTarHeader,
  paddingOf,
  parseReference,
  repositoryName,
  TAR_END,
  type Descriptor,
} from '../../image/index.ts';
import type { Platform } from '../../llb/index.ts';
import { createRegistry, type Registry } from '../../registry/index.ts';
import type { RemoteBuild } from './part.ts';

/** What one node made. */
export interface Built {
  readonly platforms: readonly Platform[];
  /** As it was asked for; parallel to the outputs of the whole build. */
  readonly outputs: readonly RemoteOutput[];
  readonly response: Readonly<Record<string, string>>;
}

const INDEX = 'application/vnd.oci.image.index.v1+json';
const DOCKER_LIST = 'application/vnd.docker.distribution.manifest.list.v2+json';
const REF_NAME = 'org.opencontainers.image.ref.name';
const IMAGE_NAME = 'io.containerd.image.name';

interface IndexDocument {
  readonly schemaVersion: 2;
  readonly mediaType: string;
  readonly manifests: readonly Descriptor[];
  readonly annotations?: Readonly<Record<string, string>>;
}

/** @returns what the whole build answers, by the keys of a single daemon's answer */
export async function joinImages(
  build: RemoteBuild,
  outputs: readonly RemoteOutput[],
  built: readonly Built[],
): Promise<RemoteResult> {
  let index: Uint8Array | undefined;
  for (const [i, output] of outputs.entries()) {
    if (output.type === 'image') index = await joinInRegistry(build, output, built);
    else if (output.type === 'oci') index = await joinLayouts(build, output, i, built);
  }
  if (index === undefined) return { response: {} };
  const { mediaType } = JSON.parse(Buffer.from(index).toString('utf8')) as IndexDocument;
  const descriptor = { mediaType, digest: digestOf(index), size: index.length };
  return {
    response: {
      'containerimage.digest': descriptor.digest,
      'containerimage.descriptor': Buffer.from(JSON.stringify(descriptor)).toString('base64'),
      ...((build.options.tags ?? []).length > 0 && { 'image.name': (build.options.tags ?? []).join(',') }),
    },
  };
}

/** Manifests with their platforms, whatever a node wrapped around them. */
async function manifestsOf(
  top: Descriptor,
  part: Built,
  read: (digest: Digest) => Promise<Uint8Array>,
): Promise<readonly Descriptor[]> {
  if (top.mediaType === INDEX || top.mediaType === DOCKER_LIST) {
    const bytes = await read(top.digest);
    return (JSON.parse(Buffer.from(bytes).toString('utf8')) as IndexDocument).manifests;
  }
  const [platform] = part.platforms;
  const { mediaType, digest, size } = top;
  return [{ mediaType, digest, size, ...(platform && { platform: ociPlatform(platform) }) }];
}

/** What a node says that it made. */
function answerOf({ response }: Built): Descriptor {
  const text = response['containerimage.descriptor'];
  if (text === undefined) throw new BuildError({ code: 'builder', message: 'a node does not say what it made' });
  return JSON.parse(Buffer.from(text, 'base64').toString('utf8')) as Descriptor;
}

function ociPlatform({ os, architecture, variant }: Platform) {
  return { os, architecture, ...(variant !== undefined && { variant }) };
}

function indexOf(manifests: readonly Descriptor[], { attrs }: RemoteOutput): Uint8Array {
  const isDocker = manifests.every(({ mediaType }) => mediaType.includes('vnd.docker.'));
  const annotations = Object.entries(attrs).flatMap(([key, value]): [string, string][] => {
    const name = /^annotation-index\.(.+)$/s.exec(key)?.[1];
    return name === undefined ? [] : [[name, value]];
  });
  const document: IndexDocument = {
    schemaVersion: 2,
    mediaType: isDocker ? DOCKER_LIST : INDEX,
    manifests,
    ...(annotations.length > 0 && { annotations: Object.fromEntries(annotations) }),
  };
  return Buffer.from(JSON.stringify(document, undefined, 2));
}

async function joinInRegistry(
  { options }: RemoteBuild,
  output: RemoteOutput,
  built: readonly Built[],
): Promise<Uint8Array> {
  const names = (output.attrs['name'] ?? '').split(',').map(parseReference);
  const insecure = /^(?:1|t|true)$/i.test(output.attrs['registry.insecure'] ?? '')
    ? names.map(({ domain }) => domain)
    : [];
  const registry: Registry = createRegistry({ env: options.env, signal: options.signal, insecure });
  try {
    const [first] = names;
    if (first === undefined) throw new BuildError({ code: 'usage', message: 'an image to push needs a name: -t NAME' });
    const read = async (digest: Digest): Promise<Uint8Array> =>
      (await registry.fetchManifest(repositoryName(first), digest)).bytes;
    const parts = await Promise.all(built.map(async (part) => await manifestsOf(answerOf(part), part, read)));
    const bytes = indexOf(parts.flat(), output);
    const { mediaType } = JSON.parse(Buffer.from(bytes).toString('utf8')) as IndexDocument;
    for (const name of names)
      await registry.pushManifest(repositoryName(name), name.tag ?? 'latest', { mediaType, bytes });
    return bytes;
  } finally {
    await registry.close();
  }
}

async function joinLayouts(
  { options }: RemoteBuild,
  output: RemoteOutput,
  number: number,
  built: readonly Built[],
): Promise<Uint8Array> {
  const layout =
    output.receive?.kind === 'layout' ? output.receive.dest : await mkdtemp(join(tmpdir(), 'slipway-layout-'));
  try {
    const blobs = join(layout, 'blobs', 'sha256');
    await mkdir(blobs, { recursive: true });
    const manifests: Descriptor[] = [];
    for (const part of built) {
      const { receive } = part.outputs[number] ?? {};
      if (receive?.kind !== 'layout') continue;
      const from = join(receive.dest, 'blobs', 'sha256');
      const top = topOf(
        receive.dest,
        (await readdir(from)).map((name) => `sha256:${name}`),
      );
      if (top === undefined) throw new BuildError({ code: 'builder', message: 'a node has written no image' });
      const read = async (digest: Digest): Promise<Uint8Array> => await readFile(join(from, digest.slice(7)));
      manifests.push(...(await manifestsOf(top as Descriptor, part, read)));
      await cp(from, blobs, { recursive: true });
    }
    const bytes = indexOf(manifests, output);
    const digest = digestOf(bytes);
    await writeFile(join(blobs, digest.slice(7)), bytes);
    const names = (output.attrs['name'] ?? '').split(',').filter(Boolean);
    const entry = { mediaType: INDEX, digest, size: bytes.length };
    const entries = names.map((name) => {
      const reference = parseReference(name);
      const annotations = {
        [IMAGE_NAME]: `${repositoryName(reference)}:${reference.tag ?? 'latest'}`,
        [REF_NAME]: reference.tag ?? 'latest',
      };
      return { ...entry, annotations };
    });
    const index = { schemaVersion: 2, mediaType: INDEX, manifests: entries.length > 0 ? entries : [entry] };
    await writeFile(join(layout, 'index.json'), JSON.stringify(index));
    await writeFile(join(layout, 'oci-layout'), '{"imageLayoutVersion":"1.0.0"}');
    if (output.receive?.kind === 'file') await archive(layout, output.receive.dest, options.stdout);
    else if (output.receive?.kind === 'stdout') await archive(layout, undefined, options.stdout);
    return bytes;
  } finally {
    if (output.receive?.kind !== 'layout') await rm(layout, { recursive: true, force: true });
  }
}

/** A layout as a tar, by name and without times, so that equal images are equal files. */
async function archive(
  layout: string,
  dest: string | undefined,
  stdout: NodeJS.WritableStream = process.stdout,
): Promise<void> {
  const { fileSink, streamSink, withSink } = await loadSinks();
  const blobs = (await readdir(join(layout, 'blobs', 'sha256'))).sort().map((name) => `blobs/sha256/${name}`);
  const sink = dest === undefined ? streamSink(stdout) : fileSink(dest);
  const rest = { target: '', uid: 0, gid: 0, mtime: 0, mtimeNsec: 0, major: 0, minor: 0 };
  await withSink(sink, async () => {
    for (const name of ['blobs/', 'blobs/sha256/'])
      await sink.write(encodeTarHeader({ type: 'directory', name, mode: 0o755, size: 0, ...rest }));
    for (const name of [...blobs, 'index.json', 'oci-layout']) {
      const { size } = await stat(join(layout, name));
      await sink.write(encodeTarHeader({ type: 'file', name, mode: 0o444, size, ...rest }));
      for await (const chunk of createReadStream(join(layout, name), {
        highWaterMark: 1 << 20,
      }) as AsyncIterable<Buffer>)
        await sink.write(chunk);
      await sink.write(TAR_END.subarray(0, paddingOf(size)));
    }
    await sink.write(TAR_END);
  });
}
