/**
 * Slipway as a library: everything that the command line does, typed and in this process.
 *
 * @example
 * import { build } from 'slipway';
 * const { image } = await build({ context: '.', tags: ['my-image:latest'] });
 */
export { build } from './api/build.ts';
export type { BuildOptions, BuildResult, HostOptions, StageWeight } from './api/options.ts';
export { check, listRules } from './api/checks/check.ts';
export type { CheckFinding, CheckOptions, CheckResult } from './api/checks/check.ts';
export type { DockerfileOptions } from './api/checks/check-input.ts';
export { listTargets, outline } from './api/checks/outline.ts';
export type { ArgInfo, MountInfo, Outline, TargetInfo } from './api/checks/outline.ts';
export type { RuleInfo, Severity, TextEdit } from './dockerfile/index.ts';
export { inspectBuild, listBuilds } from './api/records/builds.ts';
export type { BuildDetails, BuildListItem } from './api/records/builds.ts';
export type { BuildData, BuildSummary } from './api/records/build-data.ts';
export { diffBuilds } from './api/records/diff.ts';
export type { BuildDiff, StepChange, StepSide, ValueDifference } from './api/records/diff.ts';
export {
  addBuilder,
  currentBuilder,
  findBuilder,
  listBuilders,
  removeBuilder,
  useBuilder,
} from './api/builders/builders.ts';
export type { Builder, BuilderNode } from './api/builders/types.ts';
export { builderDiskUsage, inspectBuilder, pruneBuilder } from './api/builders/status.ts';
export type { BuilderStatus, NodeStatus } from './api/builders/status.ts';
export { explain } from './api/records/explain.ts';
export type { BuildExplanation } from './api/records/explain.ts';
export { plan } from './api/records/plan.ts';
export type { BuildPlan, PlannedStep } from './api/records/plan.ts';
export type { VerifiedStep, VerifySample } from './api/records/verify.ts';
export { explanationText, reasonText } from './solver/index.ts';
export type { BuildGraph, Explanation, GraphStep, Reason, StepRun } from './solver/index.ts';
export { imageHistory, inspectImage, listImages, removeImage } from './api/images/index.ts';
export type { HistoryItem, ImageListItem, ImageOptions, ListOptions, RemovedImage } from './api/images/index.ts';
export { loadImages, pullImage, pushImage, saveImages, tagImage } from './api/transfer/index.ts';
export type * from './api/transfer/types.ts';
export { showAttestations } from './api/attest/show.ts';
export type { ShownAttestation } from './api/attest/show.ts';
export { lock } from './api/lock/lock.ts';
export type { LockChange, LockOptions } from './api/lock/lock.ts';
export { diskUsage, storeProblems, verifyStore } from './api/storage/du.ts';
export type { DiskUsage, DiskUsageOptions, UsageItem, UsageType, VerifyReport } from './api/storage/du.ts';
export { prune } from './api/storage/prune.ts';
export type { PruneOptions, PruneReport } from './api/storage/prune.ts';
export { login, logout } from './api/login.ts';
export { parseSquash } from './api/inputs/squash.ts';
export { createIndex, inspectIndex } from './api/image-index/index.ts';
export type { CreateIndexOptions, ImageIndex, IndexEntry, IndexOptions } from './api/image-index/index.ts';
export { runImage } from './api/run.ts';
export type { RunOptions } from './api/run.ts';
export { systemError } from './api/system-error.ts';
export { versionInfo, VERSION } from './api/version.ts';
export type { VersionInfo } from './api/version.ts';
export { createProgress, isProgressMode, PROGRESS_MODES } from './progress/index.ts';
export type { ProgressMode } from './progress/index.ts';
export { BuildError } from './contracts/index.ts';
export type {
  BuildEvent,
  BuildEventSink,
  Digest,
  ErrorCode,
  SourceFile,
  SourceLocation,
  SourceRange,
} from './contracts/index.ts';
