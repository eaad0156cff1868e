import type { ExportInput } from '../contracts/index.ts';
import { normalizePlatform, platformToString } from '../image/index.ts';

/** With `platform-split`: `linux_amd64`, `linux_arm_v7`. */
export function platformDirectory(platform: ExportInput['platform']): string {
  return platformToString(normalizePlatform(platform)).replaceAll('/', '_');
}
