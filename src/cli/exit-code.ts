import type { ErrorCode } from '../index.ts';

/** Exit codes of every command but `run` (docs/cli.md). */
export const EXIT_CODES: Readonly<Record<ErrorCode, number>> = {
  dockerfile: 1,
  'ignore-file': 1,
  stage: 1,
  'source-missing': 1,
  copy: 1,
  'run-failed': 1,
  context: 1,
  export: 1,
  unsupported: 1,
  usage: 2,
  host: 3,
  permission: 3,
  'image-not-found': 4,
  registry: 4,
  auth: 4,
  'digest-mismatch': 4,
  hostile: 4,
  'disk-full': 5,
  store: 5,
  builder: 6,
  internal: 70,
  cancelled: 130,
};
