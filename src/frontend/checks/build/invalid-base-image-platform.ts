import type { Report, Rule } from '../../../dockerfile/index.ts';
import { platformOf } from '../../image-config.ts';
import { formatPlatform, normalizePlatform } from '../../platform.ts';
import type { BuildView } from '../view.ts';

export const invalidBaseImagePlatform: Rule<BuildView> = {
  name: 'InvalidBaseImagePlatform',
  severity: 'warning',
  description: 'The base image is for the platform that is built for',
  origin: 'buildkit',
  default: 'on',
  doc: {
    why: 'An image of one platform only is taken whatever was asked for; its programs may not run. Seen in builds only, `slipway check` asks no registry.',
    bad: 'FROM alpine\nRUN true',
    good: 'FROM --platform=$BUILDPLATFORM alpine\nRUN true',
    basePlatform: 'linux/s390x',
  },
  *check({ stages }): Iterable<Report> {
    for (const { node, base } of stages) {
      // Only what was pulled by its name is looked at: contexts and scratch are what they are.
      if (base?.name === undefined || base.root === undefined) continue;
      const { image, platform } = base;
      if (image.os === platform.os && image.architecture === platform.architecture) continue;
      const actual = formatPlatform(normalizePlatform(platformOf(image)));
      yield {
        message: `base image ${node.baseName} is for ${actual}, not for ${formatPlatform(platform)}`,
        hint: 'take an image that has the platform, or name one with FROM --platform',
        place: node.stage.from,
        range: node.stage.from.image.range,
      };
    }
  },
};
