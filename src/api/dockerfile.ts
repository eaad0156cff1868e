/**
 * The Dockerfile parser as a library of its own, `slipway/dockerfile`: text to typed instructions and stages, every node
 * with its place. Nothing else of Slipway is loaded. docs/parser.md shows it.
 *
 * @example
 * import { parseDockerfile } from 'slipway/dockerfile';
 * const { stages } = parseDockerfile('FROM alpine AS base\nRUN apk add curl');
 * stages[0].instructions[0].name; // 'RUN'
 */
export { BuildError } from '../contracts/index.ts';
export type { ErrorCode, Position, SourceFile, SourceLocation, SourceRange } from '../contracts/index.ts';
export { detectSyntax, expandWord, parseDockerfile, parseInstruction, parseMount } from '../dockerfile/index.ts';
export type {
  AddInstruction,
  ArgInstruction,
  CmdInstruction,
  CommandForm,
  CopyInstruction,
  Directive,
  Dockerfile,
  EntrypointInstruction,
  EnvInstruction,
  ExpandOptions,
  Expansion,
  ExposeInstruction,
  Flag,
  FromInstruction,
  HealthcheckInstruction,
  Heredoc,
  Instruction,
  KeyValue,
  LabelInstruction,
  MaintainerInstruction,
  Mount,
  MountExpander,
  OnbuildInstruction,
  ParseOptions,
  ParseWarning,
  RunInstruction,
  ShellInstruction,
  Stage,
  StopsignalInstruction,
  UserInstruction,
  VariableLookup,
  VolumeInstruction,
  Word,
  WorkdirInstruction,
} from '../dockerfile/index.ts';
