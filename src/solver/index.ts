/**
 * The embedded engine: walks a definition from its result down and decides for every vertex whether an earlier result can
 * be used, what must run, under which key it is kept, and what runs at the same time. How an op is carried out and how
 * files are digested is the worker's knowledge; where records live is the store's. What the keys are made of is
 * specified in docs/cache-keys.md.
 *
 *   definition -> definition keys (nothing runs) -> walk: hit? else inputs -> record key -> hit? else lock, run, record
 *
 * *Definition key*: from the op and the definition keys of its inputs. *Record key*: from the op and what its inputs turned
 * out to be, by content where the op reads files. *Virtual* result: its trees are known, its bytes are gone.
 */
export { createEngine, type EngineDeps } from './engine.ts';
export type { RemoteRecord, RemoteRecords } from './remote-records.ts';
export type { RecordInputs, RecordInput } from './record-inputs.ts';
export { opIdentity } from './op-identity.ts';
export type { OpField } from './op-identity.ts';
export type { LookupTrace, Outcome, SolveTrace } from './trace.ts';
export {
  compareBuilds,
  explainBuild,
  hasRun,
  isStep,
  type ExplainSources,
  type StepDifference,
} from './explain/explain.ts';
export { compareContentLists, type FileDifference } from './explain/content.ts';
export { instructionOf, matchSteps } from './explain/match.ts';
export { explanationText, reasonText } from './explain/text.ts';
export type * from './explain/types.ts';
export { planSolve, type Planned, type PlanOptions } from './plan.ts';
