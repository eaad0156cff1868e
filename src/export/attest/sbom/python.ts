import type { TreePath } from '../../../contracts/index.ts';
import { parseParagraph } from './control-file.ts';
import type { FoundPackage } from './types.ts';

/** What pip leaves (packaging.python.org, recording installed projects), and setuptools before it. */
export function isPythonMetadata(path: TreePath): boolean {
  return /(?:^|\/)[^/]+\.(?:dist-info\/METADATA|egg-info\/PKG-INFO|egg-info)$/.test(path);
}

export function parsePythonMetadata(text: string, path: TreePath): readonly FoundPackage[] {
  const fields = parseParagraph(text);
  const name = fields.get('name');
  if (!name) return [];
  const author = fields.get('author') || fields.get('author-email') || undefined;
  return [
    {
      type: 'pypi',
      name,
      version: fields.get('version') ?? '',
      // The whole text of a licence stands there at times.
      license: [fields.get('license-expression'), fields.get('license')].find((one) => one && !one.includes('\n')),
      supplier: author,
      homepage: fields.get('home-page') || undefined,
      path,
    },
  ];
}
