/** Attestations of a result that is no image: files beside its own, about each of them (BuildKit: exporter/local/fs.go). */
import { BuildError } from '../../contracts/index.ts';
import type { ContentLocation, ExportInput, FileEntry, FileTree, TreePath } from '../../contracts/index.ts';
import { digestOf } from '../../image/index.ts';
import { compareTreePaths } from '../../store/index.ts';
import { PREDICATE_TYPES } from './statement.ts';
import type { Statement } from './statement.ts';

/** As BuildKit names them. */
const NAMES: Readonly<Record<string, string>> = {
  [PREDICATE_TYPES.provenance]: 'provenance.json',
  [PREDICATE_TYPES.sbom]: 'sbom.spdx.json',
};

interface Added {
  readonly entry: FileEntry;
  readonly data: Uint8Array;
}

/** @param prefix Of their names (`attestation-prefix`). @throws BuildError `export` where a file has such a name already */
export async function withAttestationFiles(input: ExportInput, prefix: string): Promise<ExportInput> {
  const predicates = (await input.attest?.([])) ?? [];
  if (predicates.length === 0) return input;
  const { files } = input.snapshot;
  const subject = await subjectsOf(files);
  const added = new Map<TreePath, Added>();
  const seconds = input.sourceDateEpoch ?? Math.floor(Date.now() / 1000);
  for (const { type, content } of predicates) {
    const path = `${prefix}${NAMES[type] ?? `${digestOf(type).slice(7, 19)}.json`}`;
    if (path.includes('/') || (await files.lookup(path)) !== undefined) {
      throw new BuildError({
        code: 'export',
        message: `the attestation ${path} would take the place of what the result has there`,
        hint: 'name it otherwise: attestation-prefix=NAME',
      });
    }
    const statement: Statement = {
      _type: 'https://in-toto.io/Statement/v0.1',
      predicateType: type,
      subject,
      predicate: content,
    };
    const data = Buffer.from(JSON.stringify(statement, undefined, 2));
    const times = { mtime: seconds, mtimeNsec: 0 };
    const entry: FileEntry = {
      type: 'file',
      mode: 0o600,
      uid: 0,
      gid: 0,
      ...times,
      size: data.length,
      digest: digestOf(data),
    };
    added.set(path, { entry, data });
  }
  return { ...input, snapshot: { ...input.snapshot, files: beside(files, added) } };
}

async function subjectsOf(files: FileTree): Promise<Statement['subject']> {
  const paths = [...(await files.walk(''))].filter(([, entry]) => entry.type === 'file').map(([path]) => path);
  const digests = await files.digests(paths);
  return paths.map((name, i) => ({ name, digest: { sha256: (digests[i] ?? '').slice('sha256:'.length) } }));
}

/** A tree with files at its top. */
function beside(files: FileTree, added: ReadonlyMap<TreePath, Added>): FileTree {
  return {
    lookup: async (path) => added.get(path)?.entry ?? (await files.lookup(path)),
    list: async (path) => {
      const names = await files.list(path);
      return path === '' && names !== undefined ? [...names, ...added.keys()].sort(compareTreePaths) : names;
    },
    walk: async (path) => {
      const below = [...(await files.walk(path))];
      if (path !== '') return below;
      for (const [name, { entry }] of added) below.push([name, entry]);
      return below.sort(([a], [b]) => compareTreePaths(a, b));
    },
    digests: async (paths) => await files.digests(paths),
    async locate(paths) {
      const below = { [Symbol.iterator]: () => Iterator.from(paths).filter((path) => !added.has(path)) };
      const others = Iterator.from(await files.locate(below));
      return Iterator.from(paths).flatMap((path): readonly ContentLocation[] => {
        const own = added.get(path);
        const location = own === undefined ? others.next().value : { kind: 'bytes' as const, data: own.data };
        return location === undefined ? [] : [location];
      });
    },
  };
}
