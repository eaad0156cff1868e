import { humanSize } from './format.ts';
import { warningText } from './raw-json.ts';
import { sanitizeName } from './sanitize.ts';
import type { Trace } from './trace.ts';

export interface SummaryStyle {
  readonly warning: (text: string) => string;
  readonly strong: (text: string) => string;
}

export const plainStyle: SummaryStyle = { warning: (text) => text, strong: (text) => text };

/** What is said when a build has ended: warnings, what each stage weighed and shipped, the image. */
export function summary({ warnings, stages, image }: Trace, style: SummaryStyle): readonly string[] {
  const lines: string[] = [];
  const texts = [...new Set(warnings.map((warning) => sanitizeName(warningText(warning))))];
  if (texts.length > 0) {
    const found = texts.length === 1 ? '1 warning found:' : `${texts.length} warnings found:`;
    lines.push('', style.warning(found), ...texts.map((text) => style.warning(` - ${text}`)));
  }
  if (stages.length > 0 || image !== undefined) lines.push('');
  for (const { name, builtBytes, shippedBytes, estimated, final } of stages) {
    const about = estimated ? '~' : '';
    // All of the last stage ships, so what is not known of one is not known of the other.
    const aboutShipped = estimated && final ? '~' : '';
    const built = `${about}${humanSize(builtBytes)} built`;
    const shipped =
      shippedBytes === undefined ? 'not known what shipped' : `${aboutShipped}${humanSize(shippedBytes)} shipped`;
    lines.push(`${style.strong(sanitizeName(name))} ${built}, ${shipped}`);
  }
  if (image !== undefined) {
    const { size, layers } = image;
    const what =
      size === undefined || layers === undefined
        ? ' (sizes not known: the daemon does not tell)'
        : ` ${humanSize(size)} in ${layers === 1 ? '1 layer' : `${layers} layers`}`;
    lines.push(`image ${style.strong(image.digest)}${what}`);
  }
  return lines;
}
