import { hash } from 'node:crypto';

/** Bytes of a tag (distribution-spec). */
const TAG_MAX = 128;

/**
 * The tag of a cache mount: `<prefix>-<scope>-<id>-<hash>`. What no tag may hold is replaced; the hash of scope and id, exactly
 * as they are, keeps apart what then looks the same.
 *
 * @param id As in the graph: `<namespace>/<id of the mount>`.
 */
export function mountTag(prefix: string, scope: string, id: string): string {
  const digest = hash('sha256', JSON.stringify([scope, id]), 'hex').slice(0, 12);
  const plain = (text: string, most: number): string =>
    text
      .replace(/[^\w.-]+/g, '-')
      .replace(/^[-.]+|[-.]+$/g, '')
      .slice(0, most);
  const words = [plain(prefix, 40), plain(scope, 40), plain(id, 30), digest].filter((word) => word !== '');
  return words.join('-').slice(0, TAG_MAX);
}

/** Whether a word in a flag names the mount: its `id=`, or its target where it has none. */
export function isMountNamed(id: string, word: string): boolean {
  // What is before the first slash is BUILDKIT_CACHE_MOUNT_NS.
  return id === word || id.slice(id.indexOf('/') + 1) === word;
}
