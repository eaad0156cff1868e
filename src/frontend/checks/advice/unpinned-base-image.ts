import { BuildError } from '../../../contracts/index.ts';
import type { Report, Rule } from '../../../dockerfile/index.ts';
import { parseReference } from '../../../image/reference.ts';
import type { BuildView } from '../view.ts';

export const unpinnedBaseImage: Rule<BuildView> = {
  name: 'UnpinnedBaseImage',
  severity: 'info',
  description: 'The image stands on a base that does not change by itself',
  origin: 'slipway',
  default: 'off',
  doc: {
    why: '`latest` is another image tomorrow, and a build that worked stops to work without any change of the file. Name a version, or a digest for what must be the same everywhere.',
    bad: '# check=experimental=UnpinnedBaseImage\nFROM alpine\nRUN true',
    good: '# check=experimental=UnpinnedBaseImage\nFROM alpine:3.22\nRUN true',
  },
  *check({ image }): Iterable<Report> {
    const [root] = image;
    if (root === undefined || root.root !== 'image') return;
    const { baseName, stage } = root.node;
    const tag = floatingTag(baseName);
    if (tag === undefined) return;
    yield {
      message: `${baseName} is whatever the tag ${tag} means when it is built`,
      hint: 'name a version, as alpine:3.22, or add a digest: name@sha256:...',
      place: stage.from,
      range: stage.from.image.range,
    };
  },
};

function floatingTag(name: string): string | undefined {
  try {
    const { tag, digest } = parseReference(name);
    return tag === 'latest' && digest === undefined ? tag : undefined;
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
