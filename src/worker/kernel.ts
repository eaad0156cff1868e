/**
 * What the executor's child runs: the part of this room that needs namespaces and privilege. A door of its own, so that
 * the child loads no registry, no source and no database.
 */
export { openStepEnvironment } from './runtime/environment.ts';
export type { StepEnvironment } from './runtime/environment.ts';
export { runStep } from './runtime/step.ts';
export type { StepIo } from './runtime/step.ts';
export { materialize } from './snapshot/materialize.ts';
