/** What can be said of images without asking a registry. */
import { BuildError } from '../../contracts/index.ts';
import { familiarName, parseReference } from '../../image/reference.ts';
import type { StageNode } from '../stage-graph.ts';

/** Distributions whose official images set PATH and nothing else, for years. */
const ONLY_PATH: ReadonlySet<string> = new Set(
  'alpine amazonlinux busybox centos debian rockylinux almalinux ubuntu'.split(' '),
);

/** Working directories of official images that are built on; those of the others are not known. */
const WORKDIRS: Readonly<Record<string, string>> = {
  composer: '/app',
  golang: '/go',
  gradle: '/home/gradle',
  httpd: '/usr/local/apache2',
  maven: '/',
  nginx: '/',
  node: '/',
  python: '/',
  ruby: '/',
  rust: '/',
  tomcat: '/usr/local/tomcat',
};

export interface KnownImage {
  /** PATH is all that it sets. */
  readonly envIsKnown: boolean;
  readonly workdir: string | undefined;
}

/** Of the image that a stage stands on; a digest or another registry makes it unknown. */
export function knownImage(node: StageNode): KnownImage {
  const name = imageName(node);
  if (name === undefined || node.context !== undefined) return { envIsKnown: false, workdir: undefined };
  if (ONLY_PATH.has(name)) return { envIsKnown: true, workdir: '/' };
  return { envIsKnown: false, workdir: Object.hasOwn(WORKDIRS, name) ? WORKDIRS[name] : undefined };
}

/** The familiar repository name, `golang` of `docker.io/library/golang:1.22`; undefined for what is no reference. */
export function imageName(node: StageNode): string | undefined {
  try {
    return familiarName(parseReference(node.baseName));
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
