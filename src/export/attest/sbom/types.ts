import type { TreePath } from '../../../contracts/index.ts';

/** A package that a file system holds, as the files of its ecosystem tell. */
export interface FoundPackage {
  readonly type: 'deb' | 'apk' | 'rpm' | 'npm' | 'pypi' | 'golang';
  /** Name with scope, group or module path. */
  readonly name: string;
  /** Empty when it does not say. */
  readonly version: string;
  readonly architecture?: string | undefined;
  /** Of an rpm that has one. */
  readonly epoch?: string | undefined;
  /** As it says, in whatever words. */
  readonly license?: string | undefined;
  /** Who made it, as it says. */
  readonly supplier?: string | undefined;
  readonly homepage?: string | undefined;
  /** What it was built from, when that has another name. */
  readonly source?: string | undefined;
  /** The file that told. */
  readonly path: TreePath;
}

/** Where a package came from. */
export interface PackageOrigin {
  /** From 0, the bottom. */
  readonly layer: number;
  readonly step?: LayerStep | undefined;
}

/** The step that made a layer. */
export interface LayerStep {
  /** As progress shows it: `[build 2/3] RUN apk add curl`. */
  readonly name: string;
  readonly stage?: string | undefined;
  /** As `Dockerfile:3`. */
  readonly line?: string | undefined;
}

export interface Distribution {
  /** `debian`, `alpine`: from os-release. */
  readonly id: string;
  readonly version: string;
}

export interface Inventory {
  readonly distribution: Distribution | undefined;
  readonly packages: readonly (FoundPackage & { readonly origin?: PackageOrigin | undefined })[];
  /** What was seen and not read, for people. */
  readonly notes: readonly string[];
}
