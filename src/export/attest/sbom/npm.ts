import type { TreePath } from '../../../contracts/index.ts';
import type { FoundPackage } from './types.ts';

/** The package.json of what is installed below a node_modules, not those inside packages. */
export function isNpmManifest(path: TreePath): boolean {
  return /(?:^|\/)node_modules\/(?:@[^/]+\/)?[^/@.][^/]*\/package\.json$/.test(path);
}

/** Nothing for what is no package.json of a package: damaged, or without a name. */
export function parseNpmManifest(text: string, path: TreePath): readonly FoundPackage[] {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return [];
  }
  if (typeof value !== 'object' || value === null) return [];
  const { name, version, license, homepage, author } = value as Readonly<Record<string, unknown>>;
  if (typeof name !== 'string' || name === '' || typeof version !== 'string') return [];
  return [
    {
      type: 'npm',
      name,
      version,
      license: textOr(license, 'type'),
      homepage: typeof homepage === 'string' ? homepage : undefined,
      supplier: textOr(author, 'name'),
      path,
    },
  ];
}

/** A string, or that of a field: npm has had both forms. */
function textOr(value: unknown, field: string): string | undefined {
  if (typeof value === 'string') return value;
  const inner = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[field] : undefined;
  return typeof inner === 'string' ? inner : undefined;
}
