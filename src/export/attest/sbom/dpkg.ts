import type { TreePath } from '../../../contracts/index.ts';
import { parseParagraphs } from './control-file.ts';
import type { FoundPackage } from './types.ts';

/** dpkg's database (dpkg(1), /var/lib/dpkg/status); distroless images have a file a package in `status.d`. */
export function isDpkgDatabase(path: TreePath): boolean {
  return path === 'var/lib/dpkg/status' || /^var\/lib\/dpkg\/status\.d\/[^/]+(?<!\.md5sums)$/.test(path);
}

/** Packages that are installed, not those of which only configuration is left. */
export function parseDpkgStatus(text: string, path: TreePath): readonly FoundPackage[] {
  return parseParagraphs(text).flatMap((fields): FoundPackage[] => {
    const name = fields.get('package');
    const status = fields.get('status');
    if (!name || (status !== undefined && !/\binstalled$/.test(status))) return [];
    return [
      {
        type: 'deb',
        name,
        version: fields.get('version') ?? '',
        architecture: fields.get('architecture'),
        supplier: fields.get('maintainer'),
        homepage: fields.get('homepage'),
        source: fields.get('source'),
        path,
      },
    ];
  });
}
