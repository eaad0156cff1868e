/**
 * The Dockerfile front end: instructions to LLB and an image config, for one target and platform. Pure: what an image's
 * config is, it asks a {@link Resolver}; it never reads files or the network.
 *
 *     globalArgs -> stageGraph -> findTarget -> plan (checks, bases, ONBUILD) -> instructions, stage by stage -> definition
 *
 * A *stage* is a FROM with its instructions; a *base* is what FROM brings; a *step* is an instruction with the file
 * systems it names; a *named context* takes the place of an image or a stage. Each instruction is a function
 * `(state, instruction, context) -> state` in `instructions/`. Parsing is `dockerfile/`'s work, checks are too.
 */
export { checkDockerfile, checkText } from './checks/check-dockerfile.ts';
export type { CheckInput, CheckReport } from './checks/check-dockerfile.ts';
export { ruleUrl } from './checks/index.ts';
export { checkRules } from './checks/rules.ts';
export { dockerfileToLlb } from './convert.ts';
export { parseGitContext } from './git-url.ts';
export { mainContext } from './named-context.ts';
export { listTargets, outlineOf } from './outline.ts';
export type { ArgInfo, MountInfo, Outline, TargetInfo } from './outline.ts';
export * from './types.ts';
