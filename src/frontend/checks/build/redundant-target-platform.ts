import type { Report, Rule } from '../../../dockerfile/index.ts';
import type { BuildView } from '../view.ts';
import { tryExpand } from './from-words.ts';

export const redundantTargetPlatform: Rule<BuildView> = {
  name: 'RedundantTargetPlatform',
  severity: 'warning',
  description: 'FROM asks for the platform of the target by saying nothing',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'Every stage is for the platform of the target unless it says otherwise.',
    bad: 'FROM --platform=$TARGETPLATFORM alpine',
    good: 'FROM alpine',
  },
  *check({ graph, globals, dockerfile }): Iterable<Report> {
    for (const { stage } of graph.stages) {
      const { platform } = stage.from;
      if (platform === undefined) continue;
      const expansion = tryExpand(platform.text, globals, dockerfile.escape);
      if (expansion === undefined) continue;
      const { matched, unmatched, text } = expansion;
      const isOnly = matched.size === 1 && unmatched.size === 0 && matched.has('TARGETPLATFORM');
      if (!isOnly || text !== globals.get('TARGETPLATFORM')) continue;
      yield {
        message: `--platform=${platform.text} is what holds without it`,
        hint: 'leave it out',
        place: stage.from,
        range: platform.range,
      };
    }
  },
};
