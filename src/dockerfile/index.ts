/**
 * Dockerfiles: text to typed instructions and stages, every node with its source range; expansion of variables;
 * `RUN --mount` values. Pure. What instructions *mean* for an image is the front end's business (`frontend/`).
 *
 * The terms told apart: a *physical line* ends with a newline in the file; a *logical line* is an instruction's text
 * with continuations joined and comments dropped (`lines.ts`); an *instruction* is that, typed (`instructions/`);
 * a *directive* is a comment at the top of the file that changes how it is read; a *word* is text that is not expanded yet.
 */
export * from './types.ts';
export { detectSyntax } from './directives.ts';
export { expandWord, isPlain, type ExpandOptions, type Expansion, type VariableLookup } from './expand.ts';
export { chompTabs, parseHeredocWord } from './heredoc.ts';
export { parseMount, type Mount, type MountExpander } from './mount.ts';
export { parseDockerfile, parseInstruction, type ParseOptions } from './parse.ts';
export { isSignal } from './signal.ts';
export { isSlip, nearest } from './nearest.ts';
export * from './checks/index.ts';
