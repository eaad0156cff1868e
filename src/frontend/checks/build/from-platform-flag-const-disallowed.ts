import { BuildError } from '../../../contracts/index.ts';
import type { Report, Rule } from '../../../dockerfile/index.ts';
import type { Platform } from '../../../llb/index.ts';
import { parsePlatform } from '../../platform.ts';
import type { BuildView } from '../view.ts';
import { tryExpand } from './from-words.ts';

export const fromPlatformFlagConstDisallowed: Rule<BuildView> = {
  name: 'FromPlatformFlagConstDisallowed',
  severity: 'warning',
  description: 'FROM --platform is no constant, unless the name of the stage says so',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'A constant makes the stage that platform, whatever `--platform` the build is given. Use $BUILDPLATFORM for tools that run while building, or put the system or architecture into the name of the stage where it is meant.',
    bad: 'FROM --platform=linux/amd64 alpine AS base\nRUN true',
    good: 'FROM --platform=linux/amd64 alpine AS base_amd64\nRUN true',
  },
  *check({ graph, globals, dockerfile, options }): Iterable<Report> {
    for (const { stage } of graph.stages) {
      const { platform: word } = stage.from;
      if (word === undefined) continue;
      const expansion = tryExpand(word.text, globals, dockerfile.escape);
      if (expansion === undefined || expansion.matched.size + expansion.unmatched.size > 0) continue;
      const platform = readPlatform(expansion.text, options.buildPlatform);
      const name = stage.name ?? '';
      if (platform === undefined || name.includes(platform.os) || name.includes(platform.architecture)) continue;
      yield {
        message: `--platform=${expansion.text} is a constant`,
        hint: `leave it out, use $BUILDPLATFORM, or call the stage ${name === '' ? 'build' : name}_${platform.architecture}`,
        place: stage.from,
        range: word.range,
      };
    }
  },
};

function readPlatform(text: string, machine: Platform): Platform | undefined {
  try {
    return parsePlatform(text, machine, undefined);
  } catch (error) {
    if (error instanceof BuildError) return undefined;
    throw error;
  }
}
