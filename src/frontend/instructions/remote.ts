/** What ADD fetches: URLs and git repositories. */
import { BuildError } from '../../contracts/index.ts';
import type { SourceLocation } from '../../contracts/index.ts';
import type { AddInstruction } from '../../dockerfile/index.ts';
import { vertex } from '../../llb/index.ts';
import type { VertexInput } from '../../llb/index.ts';
import { gitAttributes, gitIdentifier, parseGitUrl } from '../git-url.ts';
import type { GitUrl } from '../git-url.ts';
import { baseName } from '../paths.ts';

/** BuildKit's name for what a URL without a path gives. */
const UNNAMED = '__unnamed__';

export function isRemote(text: string, location: SourceLocation): boolean {
  return isHttp(text) || parseGitUrl(text, location) !== undefined;
}

export interface RemoteSource {
  readonly kind: 'http' | 'git';
  readonly source: VertexInput;
  /** What to copy of it. */
  readonly path: string;
}

/**
 * Undefined for a path. `name` is the step's, as the fetch is shown under it.
 *
 * @throws BuildError `copy` for flags that contradict the URL or mean nothing.
 */
export function remoteSource(
  text: string,
  instruction: AddInstruction,
  checksum: string | undefined,
  name: string,
  wordLocation: SourceLocation,
  location: SourceLocation,
): RemoteSource | undefined {
  const metadata = { name, location };
  const git = parseGitUrl(text, wordLocation);
  if (git !== undefined) {
    const attrs = gitAttributes(git, gitOptions(git, instruction, checksum, wordLocation));
    const source = vertex({ kind: 'source', identifier: gitIdentifier(git), attrs }, [], { metadata });
    return { kind: 'git', source: { vertex: source, index: 0 }, path: '/' };
  }
  if (!isHttp(text)) return undefined;
  if (checksum !== undefined && !isDigest(checksum)) {
    throw new BuildError({
      code: 'copy',
      message: `--checksum=${checksum} is no digest`,
      hint: 'write it as sha256: and 64 hexadecimal digits',
      location: wordLocation,
    });
  }
  const filename = urlFilename(text);
  const attrs = { ...(checksum === undefined ? {} : { 'http.checksum': checksum }), 'http.filename': filename };
  const source = vertex({ kind: 'source', identifier: text, attrs }, [], { metadata });
  return { kind: 'http', source: { vertex: source, index: 0 }, path: `/${filename}` };
}

function isHttp(text: string): boolean {
  return text.startsWith('http://') || text.startsWith('https://');
}

function urlFilename(text: string): string {
  if (!URL.canParse(text)) return UNNAMED;
  const path = /^[^:]+:\/\/[^/?#]*([^?#]*)/.exec(text)?.[1] ?? '';
  const base = baseName(decode(path));
  return base === '.' || base === '/' ? UNNAMED : base;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

function isDigest(text: string): boolean {
  return /^(?:sha256:[0-9a-f]{64}|sha384:[0-9a-f]{96}|sha512:[0-9a-f]{128})$/.test(text);
}

function gitOptions(
  url: GitUrl,
  instruction: AddInstruction,
  checksum: string | undefined,
  location: SourceLocation,
): { readonly keepGitDir: boolean; readonly checksum: string | undefined } {
  const { keepGitDir } = instruction;
  if (keepGitDir !== undefined && url.keepGitDir !== undefined && keepGitDir !== url.keepGitDir) {
    throw new BuildError({ code: 'copy', message: '--keep-git-dir contradicts the URL', location });
  }
  if (checksum !== undefined && url.checksum !== undefined && checksum !== url.checksum) {
    throw new BuildError({ code: 'copy', message: `--checksum=${checksum} contradicts the URL`, location });
  }
  return { keepGitDir: url.keepGitDir ?? keepGitDir ?? false, checksum: url.checksum ?? checksum };
}
