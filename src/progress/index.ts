/**
 * Everything that is made from the one stream of build events (`contracts/event.ts`): what a person sees while a build
 * runs (`tty`, `plain`), what a program reads (`rawjson`), and the build record that is kept. It never decides anything
 * about a build and never throws for what an event holds.
 *
 * Names and output of steps come from Dockerfiles and programs that may be hostile: only `rawjson` passes them on as they
 * are, everything else goes through `sanitize.ts`.
 */
export { createBuildLog, type BuildLog, type BuildRecord, type RecordedVertex } from './build-log.ts';
export { humanSize, transferSize } from './format.ts';
export { limitStepLogs } from './log-limit.ts';
export {
  createProgress,
  isProgressMode,
  PROGRESS_MODES,
  type Progress,
  type ProgressMode,
  type ProgressOptions,
} from './progress.ts';
export { redactError, redactSecrets } from './redact.ts';
export { scrub, withoutCredentials } from './scrub.ts';
export type { ProgressStream } from './stream.ts';
