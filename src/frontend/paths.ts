/** Paths inside an image, by text alone, as BuildKit's util/system normalizes them for Linux. */
import { cleanPath } from '../pattern/index.ts';

/** Go's `path.Join`: empty parts are skipped, the rest is joined and cleaned; nothing at all is the empty path. */
export function joinPath(...parts: readonly string[]): string {
  const joined = parts.filter((part) => part !== '').join('/');
  return joined === '' ? '' : cleanPath(joined);
}

export function isAbsolute(path: string): boolean {
  return path.startsWith('/');
}

/** Go's `path.Base`: the last part, `.` for nothing, `/` for the root. */
export function baseName(path: string): string {
  if (path === '') return '.';
  const trimmed = path.replace(/\/+$/, '');
  return trimmed === '' ? '/' : trimmed.slice(trimmed.lastIndexOf('/') + 1);
}

/** `path` below `parent` unless it is absolute; clean, absolute, never above the root. */
export function absolutePath(parent: string, path: string): string {
  return isAbsolute(path) ? cleanPath(path) : cleanPath(joinPath('/', parent, path));
}

/** What WORKDIR puts into the image: an absolute path stands as it was written (NormalizePath without cleaning). */
export function workingDirectory(parent: string, path: string): string {
  return isAbsolute(path) ? path : absolutePath(parent, path);
}

/**
 * As {@link absolutePath}, keeping what a copy's destination says by its end: a trailing slash (a directory), or `/.`.
 */
export function destinationPath(workdir: string, path: string): string {
  // The working directory itself is meant as a directory.
  const written = path === '.' || path === '' ? './' : path;
  const clean = absolutePath(workdir, written);
  if (written.endsWith('/') && !clean.endsWith('/')) return `${clean}/`;
  if (written.endsWith('/.')) return clean === '/' ? '/.' : `${clean}/.`;
  return clean;
}
