import type { TreePath } from '../../../contracts/index.ts';
import type { FoundPackage } from './types.ts';

/** apk's database (apk-tools, apk-v2(5)): a line a field with a letter as its name, an empty line between packages. */
export function isApkDatabase(path: TreePath): boolean {
  return path === 'lib/apk/db/installed' || path === 'usr/lib/apk/db/installed';
}

export function parseApkInstalled(text: string, path: TreePath): readonly FoundPackage[] {
  return text.split(/\n\n+/).flatMap((block): FoundPackage[] => {
    const fields = new Map<string, string>();
    for (const line of block.split('\n')) {
      // After `F:` come its files, whose letters mean other things.
      if (line.startsWith('F:')) break;
      if (line[1] === ':' && !fields.has(line[0] ?? '')) fields.set(line[0] ?? '', line.slice(2).trim());
    }
    const name = fields.get('P');
    if (!name) return [];
    const origin = fields.get('o');
    return [
      {
        type: 'apk',
        name,
        version: fields.get('V') ?? '',
        architecture: fields.get('A'),
        license: fields.get('L'),
        supplier: fields.get('m'),
        homepage: fields.get('U'),
        source: origin === name ? undefined : origin,
        path,
      },
    ];
  });
}
