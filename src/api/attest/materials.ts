import { isDigest } from '../../contracts/index.ts';
import { loadAttest, type Material } from '../../export/index.ts';
import type { Definition, Vertex } from '../../llb/index.ts';
import type { SeenSources } from './seen-sources.ts';

/** Every image, URL and commit that a build read, with what fixes it. Local directories are none: nothing fixes them. */
export async function materialsOf(
  { vertices }: Definition,
  { urls, commits }: SeenSources,
): Promise<readonly Material[]> {
  const { imageUrl } = await loadAttest();
  const found: Material[] = [];
  for (const vertex of vertices) {
    const { op } = vertex;
    if (op.kind !== 'source') continue;
    const { identifier, attrs } = op;
    const [, scheme, rest = ''] = /^([a-z-]+):\/\/(.*)$/s.exec(identifier) ?? [];
    if (scheme === 'docker-image' || scheme === 'oci-layout')
      found.push(...imageMaterial(scheme, rest, vertex, imageUrl));
    if (scheme === 'http' || scheme === 'https') {
      const digest = attrs['http.checksum'];
      if (digest !== undefined && isDigest(digest)) found.push(urlMaterial(identifier, digest));
    }
    if (scheme === 'git') {
      const commit = attrs['git.checksum'];
      const [, ref = ''] = /#([^:]*)/.exec(rest) ?? [];
      const remote = attrs['git.fullurl'] ?? `git://${rest.replace(/#.*/s, '')}`;
      // The beginning of a commit fixes it for people, not for a digest.
      if (commit !== undefined && /^([0-9a-f]{40}|[0-9a-f]{64})$/.test(commit))
        found.push(commitMaterial(ref === '' ? remote : `${remote}#${ref}`, commit));
    }
  }
  for (const [url, digest] of urls) found.push(urlMaterial(url, digest));
  for (const [name, commit] of commits) found.push(commitMaterial(name.replace(/#$/, ''), commit));
  return found;
}

function imageMaterial(
  scheme: 'docker-image' | 'oci-layout',
  reference: string,
  { platform }: Vertex,
  imageUrl: (reference: string, platform: string | undefined) => string,
): readonly Material[] {
  const [, name = '', hex] = /^(.*?)(?:@sha256:([0-9a-f]{64}))?$/s.exec(reference) ?? [];
  if (hex === undefined) return [];
  const on = platform === undefined ? undefined : platformName(platform);
  if (scheme === 'docker-image') return [{ uri: imageUrl(name, on), digest: { sha256: hex } }];
  // Where a layout lies on this machine is nobody's business.
  const [, base = '', tag] = /([^/:]*)(?::([^/:]*))?$/.exec(name) ?? [];
  const version = tag === undefined ? '' : `@${encodeURIComponent(tag)}`;
  const qualifier = on === undefined ? '' : `?platform=${encodeURIComponent(on)}`;
  return [{ uri: `pkg:oci/${encodeURIComponent(base)}${version}${qualifier}`, digest: { sha256: hex } }];
}

export function platformName({ os, architecture, variant }: NonNullable<Vertex['platform']>): string {
  return [os, architecture, variant].filter((part) => part !== undefined && part !== '').join('/');
}

function urlMaterial(uri: string, digest: string): Material {
  return { uri, digest: { sha256: digest.slice('sha256:'.length) } };
}

function commitMaterial(uri: string, commit: string): Material {
  return { uri, digest: { [commit.length === 64 ? 'sha256' : 'sha1']: commit } };
}
