/**
 * Image references as text: the grammar of distribution/reference (reference.go, normalize.go) and Docker's short
 * names. Pure; no registry is asked.
 */
import { BuildError, isDigest } from '../contracts/index.ts';
import type { Digest } from '../contracts/index.ts';

/** A normalized reference. At least one of `tag` and `digest` is set. */
export interface Reference {
  /** Registry host with optional port, as `docker.io`, `localhost:5000`. */
  readonly domain: string;
  /** Repository path in the registry, as `library/alpine`. */
  readonly path: string;
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

export const DEFAULT_DOMAIN = 'docker.io';
export const DEFAULT_TAG = 'latest';
const LEGACY_DEFAULT_DOMAIN = 'index.docker.io';
const OFFICIAL_PREFIX = 'library/';
/** distribution/reference: RepositoryNameTotalLengthMax. */
const NAME_LENGTH_MAX = 255;
/** Nothing longer can be valid: name, tag and digest at their longest. */
const REFERENCE_LENGTH_MAX = 1024;
const SHA256_LENGTH = 64;

const DOMAIN_COMPONENT = '(?:[a-zA-Z0-9]|[a-zA-Z0-9][a-zA-Z0-9-]*[a-zA-Z0-9])';
const DOMAIN = new RegExp(`^(?:${DOMAIN_COMPONENT}(?:\\.${DOMAIN_COMPONENT})*|\\[(?:[a-fA-F0-9:]+)\\])(?::[0-9]+)?$`);
const PATH_COMPONENT = '[a-z0-9]+(?:(?:\\.|_|__|-+)[a-z0-9]+)*';
const PATH = new RegExp(`^${PATH_COMPONENT}(?:/${PATH_COMPONENT})*$`);
/** `alpine`, `golang:1.25`: nothing else that it could be. Shorter than an image ID. */
const SHORT = new RegExp(`^(?=.{1,63}$)(${PATH_COMPONENT})(?::(\\w[\\w.-]*))?$`);
const TAG = /^\w[\w.-]{0,127}$/;
const DIGEST = /^[A-Za-z][A-Za-z0-9]*(?:[-_+.][A-Za-z][A-Za-z0-9]*)*:[0-9a-fA-F]{32,}$/;

/**
 * Parses and normalizes a reference as a user writes it: `alpine` is `docker.io/library/alpine:latest`. The tag
 * `latest` is added only where there is neither tag nor digest.
 *
 * @throws BuildError `usage` with the reason and a hint.
 */
export function parseReference(text: string): Reference {
  const short = SHORT.exec(text);
  if (short !== null) {
    const [, name = '', tag = DEFAULT_TAG] = short;
    return { domain: DEFAULT_DOMAIN, path: OFFICIAL_PREFIX + name, tag, digest: undefined };
  }
  if (text === '') throw invalid(text, 'it is empty', 'name an image, for example alpine:3');
  if (text.length > REFERENCE_LENGTH_MAX) throw invalid(`${text.slice(0, 64)}...`, 'it is too long');
  if (/^[a-z][a-z0-9+.-]*:\/\//i.test(text)) {
    throw invalid(text, 'it is a URL, not an image name', `did you mean ${nameInUrl(text)}?`);
  }
  if (/^[a-f0-9]{64}$/.test(text)) {
    throw invalid(text, '64 hexadecimal digits are an image ID, not a name', `write name@sha256:${text}`);
  }

  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : parseDigest(text, text.slice(at + 1));
  const named = at === -1 ? text : text.slice(0, at);

  const { domain, remainder } = splitDomain(named);
  const colon = remainder.indexOf(':');
  const path = colon === -1 ? remainder : remainder.slice(0, colon);
  const tag = colon === -1 ? undefined : remainder.slice(colon + 1);

  if (/\s/.test(text)) {
    const joined = text.trim();
    throw invalid(
      text,
      'it contains a space',
      /\s/.test(joined) || joined === '' ? NAME_HINT : `did you mean ${joined}?`,
    );
  }
  if (!DOMAIN.test(domain)) throw invalid(text, `${JSON.stringify(domain)} is not a registry host`, NAME_HINT);
  if (path !== path.toLowerCase()) {
    const name = tag === undefined ? named : named.slice(0, -tag.length - 1);
    const meant = name.toLowerCase() + text.slice(name.length);
    throw invalid(text, `repository name (${path}) must be lowercase`, `did you mean ${meant}?`);
  }
  if (!PATH.test(path)) throw invalid(text, describeBadPath(path), NAME_HINT);
  if (path.length > NAME_LENGTH_MAX) {
    throw invalid(`${text.slice(0, 64)}...`, `repository name must not be more than ${NAME_LENGTH_MAX} characters`);
  }
  if (tag === '') {
    const name = text.replace(/:(?=@|$)/, '');
    throw invalid(text, 'no tag follows the colon', `did you mean ${name}, or ${name}:${DEFAULT_TAG}?`);
  }
  if (tag !== undefined && !TAG.test(tag)) {
    throw invalid(
      text,
      `${JSON.stringify(tag)} is not a tag`,
      'a tag has up to 128 letters, digits, "_", "." and "-", and does not start with "." or "-"',
    );
  }
  return { domain, path, tag: tag ?? (digest === undefined ? DEFAULT_TAG : undefined), digest };
}

/** True when `text` parses. */
export function isReference(text: string): boolean {
  try {
    parseReference(text);
    return true;
  } catch {
    return false;
  }
}

/** `domain/path`, without tag and digest. */
export function repositoryName(reference: Reference): string {
  return `${reference.domain}/${reference.path}`;
}

/** The full form: `docker.io/library/alpine:latest@sha256:...`; parses to the same reference again. */
export function referenceToString(reference: Reference): string {
  return repositoryName(reference) + suffix(reference);
}

/** The repository as users write it: `alpine`, `user/app`, `ghcr.io/x/y`; without tag and digest. */
export function familiarName(reference: Reference): string {
  const { domain, path } = reference;
  if (domain !== DEFAULT_DOMAIN) return `${domain}/${path}`;
  const short = path.startsWith(OFFICIAL_PREFIX) ? path.slice(OFFICIAL_PREFIX.length) : path;
  return short.includes('/') ? path : short;
}

/** {@link familiarName} with tag and digest: `alpine:latest`. */
export function familiarString(reference: Reference): string {
  return familiarName(reference) + suffix(reference);
}

const NAME_HINT = 'a reference is [HOST[:PORT]/]NAME[:TAG][@sha256:DIGEST], for example docker.io/library/alpine:3';

function suffix({ tag, digest }: Reference): string {
  return (tag === undefined ? '' : `:${tag}`) + (digest === undefined ? '' : `@${digest}`);
}

/** As splitDockerDomain of distribution/reference: the first component is a host when it cannot be a Hub user. */
function splitDomain(name: string): { domain: string; remainder: string } {
  const slash = name.indexOf('/');
  if (slash === -1) return { domain: DEFAULT_DOMAIN, remainder: OFFICIAL_PREFIX + name };
  const first = name.slice(0, slash);
  const rest = name.slice(slash + 1);
  const isHost = first === 'localhost' || /[.:]/.test(first) || first !== first.toLowerCase();
  const domain = first === LEGACY_DEFAULT_DOMAIN || !isHost ? DEFAULT_DOMAIN : first;
  const remainder = isHost ? rest : name;
  if (domain === DEFAULT_DOMAIN && !remainder.includes('/')) return { domain, remainder: OFFICIAL_PREFIX + remainder };
  return { domain, remainder };
}

function parseDigest(text: string, digest: string): Digest {
  if (isDigest(digest)) return digest;
  const colon = digest.indexOf(':');
  const algorithm = digest.slice(0, Math.max(colon, 0));
  if (DIGEST.test(digest) && algorithm !== 'sha256') {
    throw invalid(text, `digest algorithm ${algorithm} is not supported`, 'use a sha256 digest');
  }
  const hex = digest.slice(colon + 1);
  if (algorithm === 'sha256' && /^[0-9a-f]*$/i.test(hex) && hex.length !== SHA256_LENGTH) {
    const what = hex.length < SHA256_LENGTH ? 'cut short' : 'too long';
    throw invalid(text, `its digest is ${what}: ${hex.length} hex digits of ${SHA256_LENGTH}`, 'copy the digest whole');
  }
  const name = text.slice(0, text.indexOf('@'));
  throw invalid(
    text,
    `${JSON.stringify(digest)} is not a digest`,
    colon === -1 && TAG.test(digest) && name !== '' && !/:[^/]*$/.test(name)
      ? `did you mean ${name}:${digest}? After "@" comes a digest: sha256: and 64 lower-case hex digits`
      : 'a digest is sha256: and 64 lower-case hex digits',
  );
}

/** The image that a URL leads to, where it is one of Docker Hub's pages, else the URL without its scheme. */
function nameInUrl(url: string): string {
  const rest = url.slice(url.indexOf('//') + 2).replace(/\/+$/, '');
  const page = /^hub\.docker\.com\/(?:_|r)\/([^?#]+?)(?:\/tags)?(?:[?#].*)?$/.exec(rest);
  return page?.[1] ?? rest;
}

function describeBadPath(path: string): string {
  if (path === '' || path === OFFICIAL_PREFIX) return 'the repository name is missing';
  return `${JSON.stringify(path)} is not a repository name`;
}

function invalid(text: string, reason: string, hint?: string): BuildError {
  return new BuildError({ code: 'usage', message: `invalid image reference ${JSON.stringify(text)}: ${reason}`, hint });
}
