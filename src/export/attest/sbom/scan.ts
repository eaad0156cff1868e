/** Finds what is installed in a file system, and which layer brought it. */
import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { ContentLocation, FileTree, Layer, NodeEntry, Snapshot, TreePath } from '../../../contracts/index.ts';
import { isApkDatabase, parseApkInstalled } from './apk.ts';
import { isDpkgDatabase, parseDpkgStatus } from './dpkg.ts';
import { goPackages, readGoBuildInfo, type ReadAt } from './go-build-info.ts';
import { isNpmManifest, parseNpmManifest } from './npm.ts';
import { readRpmDatabase } from './rpm.ts';
import { isPythonMetadata, parsePythonMetadata } from './python.ts';
import type { Distribution, FoundPackage, Inventory, LayerStep, PackageOrigin } from './types.ts';

/** A Go program without any package is larger; smaller executables need not be read. Bytes. */
const GO_PROGRAM_MIN = 512 << 10;
/** No database or manifest of a package manager is larger. Bytes. */
const TEXT_MAX = 64 << 20;
/** Files that are located at once. */
const BATCH = 256;

const OS_RELEASE = ['usr/lib/os-release', 'etc/os-release'];

interface Finder {
  matches(path: TreePath): boolean;
  parse(text: string, path: TreePath): readonly FoundPackage[];
}

/** Each in files of its own. */
const FINDERS: readonly Finder[] = [
  { matches: isDpkgDatabase, parse: parseDpkgStatus },
  { matches: isApkDatabase, parse: parseApkInstalled },
  { matches: isNpmManifest, parse: parseNpmManifest },
  { matches: isPythonMetadata, parse: parsePythonMetadata },
];

/** Databases that every installation writes anew: what is in one tells nothing of which layer a package came with. */
function isDatabase(path: TreePath): boolean {
  return path === 'var/lib/dpkg/status' || isApkDatabase(path) || RPM_DATABASE.test(path);
}

/** Where rpm keeps its database, in the forms it has had (rpm, macros.in). */
const RPM_DATABASE = /^(?:var\/lib\/rpm|usr\/lib\/sysimage\/rpm)\/(?:rpmdb\.sqlite|Packages\.db|Packages)$/;

/**
 * Reads the databases of package managers, the manifests of installed libraries and the build information of Go programs.
 * Links are not followed, programs not run.
 *
 * @param steps By layer id.
 */
export async function takeInventory(
  snapshot: Snapshot,
  steps: ReadonlyMap<string, LayerStep> = new Map(),
): Promise<Inventory> {
  const { files, layers } = snapshot;
  const found: FoundPackage[] = [];
  const notes: string[] = [];
  const texts: TreePath[] = [];
  const programs: TreePath[] = [];
  const databases: TreePath[] = [];
  for (const [path, entry] of await files.walk('')) {
    if (entry.type !== 'file') continue;
    if (FINDERS.some((finder) => finder.matches(path))) texts.push(path);
    else if (isProgram(entry)) programs.push(path);
    else if (RPM_DATABASE.test(path)) databases.push(path);
  }
  await eachContent(files, texts, (location, path) => {
    found.push(...parseWith(textOf(location), path));
  });
  await eachContent(files, programs, (location, path) => {
    const info = withReadAt(location, readGoBuildInfo);
    if (info !== undefined) found.push(...goPackages(info, path));
  });
  await eachContent(files, databases, (location, path) => {
    const packages = rpmPackages(location, path);
    if (packages === undefined) notes.push(`the rpm database ${path} was not read: its packages are missing here`);
    else found.push(...packages);
  });
  const originOf = await origins(layers, steps);
  const packages = await Promise.all(found.map(async (one) => ({ ...one, origin: await originOf(one) })));
  return { distribution: await distribution(files), packages: packages.sort(comparePackages), notes };
}

function isProgram(entry: NodeEntry): boolean {
  return (
    entry.type === 'file' && entry.hardlink === undefined && (entry.mode & 0o111) !== 0 && entry.size >= GO_PROGRAM_MIN
  );
}

function parseWith(text: string, path: TreePath): readonly FoundPackage[] {
  return FINDERS.find((finder) => finder.matches(path))?.parse(text, path) ?? [];
}

/** Undefined for an older form of it. */
function rpmPackages(location: ContentLocation, path: TreePath): readonly FoundPackage[] | undefined {
  return location.kind === 'bytes' || !path.endsWith('.sqlite') ? undefined : readRpmDatabase(location.path, path);
}

function packagesIn(location: ContentLocation, path: TreePath): readonly FoundPackage[] {
  return RPM_DATABASE.test(path) ? (rpmPackages(location, path) ?? []) : parseWith(textOf(location), path);
}

function comparePackages(a: FoundPackage, b: FoundPackage): number {
  const key = ({ type, name, version, path }: FoundPackage): string => [type, name, version, path].join('\0');
  return key(a) < key(b) ? -1 : 1;
}

type OriginOf = (found: FoundPackage) => Promise<PackageOrigin | undefined>;

/**
 * What has a file of its own came with the topmost layer that has the file. What is in a database came with the layer
 * since which the database has had it without a gap.
 */
async function origins(layers: readonly Layer[], steps: ReadonlyMap<string, LayerStep>): Promise<OriginOf> {
  const trees = await Promise.all(layers.map(async (layer) => await layer.tree()));
  const databases = new Map<TreePath, ReadonlyMap<string, number>>();
  const nameOf = ({ name, version, architecture }: FoundPackage): string => [name, version, architecture].join(' ');

  async function since(path: TreePath): Promise<ReadonlyMap<string, number>> {
    let known = new Map<string, number>();
    for (const [index, layer] of layers.entries()) {
      if (trees[index]?.get(path)?.type !== 'file') continue;
      const [location] = await layer.locate([path]);
      if (location === undefined) continue;
      const before = known;
      known = new Map(
        packagesIn(location, path).map((one) => [nameOf(one), before.get(nameOf(one)) ?? index] as const),
      );
    }
    return known;
  }

  return async (found) => {
    const { path } = found;
    let index: number | undefined;
    if (isDatabase(path)) {
      let known = databases.get(path);
      if (known === undefined) databases.set(path, (known = await since(path)));
      index = known.get(nameOf(found));
    } else index = trees.findLastIndex((tree) => tree.has(path));
    if (index === undefined || index === -1) return undefined;
    return { layer: index, step: steps.get(layers[index]?.id ?? '') };
  };
}

/** Says os-release(5): who made the distribution, and which it is. */
async function distribution(files: FileTree): Promise<Distribution | undefined> {
  for (const path of OS_RELEASE) {
    if ((await files.lookup(path))?.type !== 'file') continue;
    const [location] = await files.locate([path]);
    if (location === undefined) continue;
    const fields = new Map(
      textOf(location)
        .split('\n')
        .flatMap((line): [string, string][] => {
          const [, name, value] = /^([A-Z_]+)=(.*)$/.exec(line) ?? [];
          return name === undefined || value === undefined
            ? []
            : [[name, value.trim().replace(/^(["'])(.*)\1$/, '$2')]];
        }),
    );
    const id = fields.get('ID');
    if (id !== undefined) return { id, version: fields.get('VERSION_ID') ?? '' };
  }
  return undefined;
}

async function eachContent(
  files: FileTree,
  paths: readonly TreePath[],
  use: (location: ContentLocation, path: TreePath) => void,
): Promise<void> {
  for (let at = 0; at < paths.length; at += BATCH) {
    const batch = paths.slice(at, at + BATCH);
    let next = 0;
    for (const location of await files.locate(batch)) use(location, batch[next++] ?? '');
  }
}

function textOf(location: ContentLocation): string {
  if (location.kind === 'bytes') return Buffer.from(location.data).toString('utf8');
  return withReadAt(location, (readAt) => readAt(0, TEXT_MAX)).toString('utf8');
}

/** Reads parts of a file: a program of many megabytes has what is wanted in a few pages. */
function withReadAt<T>(location: ContentLocation, use: (readAt: ReadAt) => T): T {
  if (location.kind === 'bytes') {
    const data = Buffer.from(location.data);
    return use((offset, length) => data.subarray(offset, offset + length));
  }
  const file = openSync(location.path, 'r');
  try {
    return use((offset, length) => {
      if (!Number.isSafeInteger(offset) || offset < 0) return Buffer.alloc(0);
      if (offset === 0 && length === TEXT_MAX) return readFileSync(file).subarray(0, TEXT_MAX);
      const data = Buffer.alloc(length);
      return data.subarray(0, readSync(file, data, 0, length, offset));
    });
  } finally {
    closeSync(file);
  }
}
