/** COPY and ADD: one file op a step, with --link on an empty root that is merged with what was there. */
import { BuildError } from '../../contracts/index.ts';
import type { AddInstruction, CopyInstruction, Heredoc, Word } from '../../dockerfile/index.ts';
import { vertex } from '../../llb/index.ts';
import type { CopyAction, Vertex, VertexInput, VertexMetadata } from '../../llb/index.ts';
import { withHistory } from '../image-config.ts';
import { parseMode } from '../mode.ts';
import { parseOwner } from '../owner.ts';
import { absolutePath, destinationPath, joinPath } from '../paths.ts';
import type { InstructionContext, InstructionHandler, StageState } from '../state.ts';
import { instructionText, nextStepName } from '../step-name.ts';
import { expand, expandOptional, expandText, wordLocation } from '../words.ts';
import { inlineFile } from './inline-file.ts';
import { isRemote, remoteSource } from './remote.ts';

/** One source of a step: where it is and how it is copied. */
export interface CopySource {
  /** Undefined = scratch. */
  readonly from: VertexInput | undefined;
  readonly action: CopyAction;
}

export const dispatchCopy: InstructionHandler<CopyInstruction> = (state, instruction, context) => {
  const [named] = context.sources;
  const from = instruction.from === undefined ? context.buildContext : named?.root;
  return copyStep(state, instruction, context, (paths, options) =>
    paths.map(({ word, text }) => {
      if (isRemote(text, wordLocation(word, context))) {
        throw copyError(`COPY cannot fetch ${text}`, 'use ADD for URLs and git repositories', word, context);
      }
      context.usePath(from, text);
      return { from, action: pathAction(text, options, instruction.parents, false) };
    }),
  );
};

export const dispatchAdd: InstructionHandler<AddInstruction> = (state, instruction, context) => {
  const checksum = expandOptional(instruction.checksum, state, context);
  return copyStep(state, instruction, context, (paths, options, name) => {
    if (checksum !== undefined) checkChecksum(paths, instruction, context);
    return paths.map(({ word, text }) => {
      const remote = remoteSource(text, instruction, checksum, name, wordLocation(word, context), context.location);
      if (remote !== undefined) {
        const unpack = remote.kind === 'http' && instruction.unpack === true;
        return {
          from: remote.source,
          action: { ...plainAction(remote.path, options), attemptUnpackDockerCompatibility: unpack },
        };
      }
      context.usePath(context.buildContext, text);
      return { from: context.buildContext, action: pathAction(text, options, false, instruction.unpack ?? true) };
    });
  });
};

interface ExpandedPath {
  readonly word: Word;
  readonly text: string;
}

/** What all sources of one instruction share. */
type CopyOptions = Pick<CopyAction, 'dest' | 'mode' | 'modeStr' | 'owner' | 'excludePatterns' | 'timestamp'>;

function copyStep(
  state: StageState,
  instruction: CopyInstruction | AddInstruction,
  context: InstructionContext,
  pathSources: (paths: readonly ExpandedPath[], options: CopyOptions, name: string) => readonly CopySource[],
): StageState {
  const chown = expandOptional(instruction.chown, state, context) ?? '';
  const chmod = expandOptional(instruction.chmod, state, context) ?? '';
  const destination = expand(instruction.destination, state, context);
  const paths = instruction.sources.flatMap((source) =>
    source.kind === 'path' ? { word: source, text: expand(source, state, context) } : [],
  );
  const heredocs = instruction.sources.filter((source) => source.kind === 'heredoc');
  const text = instructionText(instruction, state.env, { escape: context.escape });
  const name = nextStepName(state, context, text);
  // Names are looked up in the root that is copied onto; with --link there is none.
  const isLink = instruction.link && chmod === '';
  const input = isLink || state.root === undefined ? -1 : 0;
  const options: CopyOptions = {
    dest: destinationPath(state.workdir, destination),
    ...parseMode(chmod, instruction.chmod === undefined ? context.location : wordLocation(instruction.chmod, context)),
    owner: chown === '' ? undefined : parseOwner(chown, input),
    excludePatterns: instruction.excludes.map((word) => word.text),
    // Files keep their times, with SOURCE_DATE_EPOCH too; the exporter limits them.
    timestamp: -1n,
  };
  const sources = [
    ...pathSources(paths, options, name),
    ...heredocs.map((heredoc) => inlineSource(heredoc, options, state, context)),
  ];
  const metadata: VertexMetadata = {
    name,
    location: context.location,
    ...(context.stage.noCache ? { ignoreCache: true } : {}),
    ...(context.options.exactLayers === true ? { exactLayers: true } : {}),
  };
  context.usePath(state.root, '/');
  const root = isLink
    ? linkedCopy(state, sources, metadata, nextStepName(state, context, `LINK ${text}`))
    : { vertex: copyVertex(state.root, sources, metadata), index: 0 };
  const shown = [
    instruction.name,
    ...(instruction.name === 'COPY' && instruction.parents ? ['--parents'] : []),
    ...(chown === '' ? [] : [`--chown=${chown}`]),
    ...(chmod === '' ? [] : [`--chmod=${chmod}`]),
    ...paths.map((path) => path.text),
    ...heredocs.map((heredoc) => `<<${heredoc.name}`),
    destination,
  ];
  return {
    ...state,
    root,
    step: state.step + 1,
    image: withHistory(state.image, `${shown.join(' ')} # buildkit`, { layer: true }),
  };
}

/** Copies one after the other onto the root; the last one's result is the op's output. */
export function copyVertex(
  root: VertexInput | undefined,
  sources: readonly CopySource[],
  metadata: VertexMetadata,
): Vertex {
  const inputs: VertexInput[] = root === undefined ? [] : [root];
  const places = sources.map(({ from }) => (from === undefined ? -1 : inputs.push(from) - 1));
  const actions = sources.map(({ action }, i) => ({
    input: i === 0 ? (root === undefined ? -1 : 0) : inputs.length + i - 1,
    secondaryInput: places[i] ?? -1,
    output: i === sources.length - 1 ? 0 : -1,
    action,
  }));
  return vertex({ kind: 'file', actions }, inputs, { metadata });
}

/** The copy does not depend on what it is laid over, so it stays cached when that changes. */
function linkedCopy(
  state: StageState,
  sources: readonly CopySource[],
  metadata: VertexMetadata,
  linkName: string,
): VertexInput {
  const bare = copyVertex(undefined, sources, metadata);
  const group = { id: bare.digest, name: metadata.name ?? '' };
  const copied = {
    vertex: copyVertex(undefined, sources, { ...metadata, progressGroup: { ...group, weak: true } }),
    index: 0,
  };
  // A merge with nothing is the copy itself.
  if (state.root === undefined) return copied;
  const merged = vertex({ kind: 'merge', inputs: [0, 1] }, [state.root, copied], {
    metadata: { ...metadata, name: linkName, progressGroup: { ...group, weak: false } },
  });
  return { vertex: merged, index: 0 };
}

function plainAction(src: string, options: CopyOptions): CopyAction {
  return {
    kind: 'copy',
    src,
    ...options,
    followSymlink: false,
    dirCopyContents: false,
    attemptUnpackDockerCompatibility: false,
    createDestPath: true,
    allowWildcard: false,
    allowEmptyWildcard: false,
    includePatterns: [],
    alwaysReplaceExistingDestPaths: false,
    requiredPaths: [],
  };
}

function pathAction(text: string, options: CopyOptions, parents: boolean, unpack: boolean): CopyAction {
  return {
    ...plainAction(absolutePath('/', text), options),
    ...(parents ? parentPaths(text) : {}),
    followSymlink: true,
    dirCopyContents: true,
    attemptUnpackDockerCompatibility: unpack,
    allowWildcard: true,
    allowEmptyWildcard: true,
  };
}

/** --parents: what stands after `/./`, or all of the path, is made again below the destination. */
function parentPaths(text: string): Pick<CopyAction, 'src' | 'includePatterns' | 'requiredPaths'> {
  const pivot = text.indexOf('/./');
  const parent = pivot === -1 ? '/' : text.slice(0, pivot);
  const pattern = absolutePath('/', pivot === -1 ? text : text.slice(pivot + '/./'.length));
  const isLiteral = !hasWildcards(parent) && !hasWildcards(pattern);
  return {
    src: absolutePath('/', parent),
    includePatterns: [pattern.slice(1)],
    requiredPaths: isLiteral ? [absolutePath('/', joinPath(parent, pattern))] : [],
  };
}

function hasWildcards(path: string): boolean {
  return /[*?[]/.test(path.replace(/\\[^]/g, ''));
}

function inlineSource(
  heredoc: Heredoc,
  options: CopyOptions,
  state: StageState,
  context: InstructionContext,
): CopySource {
  // In heredocs quotes are text, and the escape character is `\` whatever the file says.
  const content = heredoc.expand
    ? expandText(heredoc.content, state.env, { escape: '\\', plainQuotes: true }, wordLocationOf(heredoc, context)).text
    : heredoc.content;
  const from = inlineFile(heredoc.name, content, 0o644, context);
  const { owner, ...rest } = options;
  return {
    from,
    action: { ...plainAction(absolutePath('/', heredoc.name), rest), ...(owner === undefined ? {} : { owner }) },
  };
}

function wordLocationOf(heredoc: Heredoc, context: InstructionContext): InstructionContext['location'] {
  return wordLocation({ text: heredoc.name, range: heredoc.range }, context);
}

function checkChecksum(paths: readonly ExpandedPath[], instruction: AddInstruction, context: InstructionContext): void {
  const word = instruction.checksum ?? instruction.destination;
  const [only, ...others] = paths;
  if (only === undefined || others.length > 0) {
    throw copyError('--checksum is for one source', 'write an ADD for each source', word, context);
  }
  if (!/^https?:\/\//.test(only.text) && !isRemote(only.text, wordLocation(word, context))) {
    throw copyError('--checksum is for URLs and git repositories', 'files of the context need none', word, context);
  }
}

function copyError(message: string, hint: string, word: Word, context: InstructionContext): BuildError {
  return new BuildError({ code: 'copy', message, hint, location: wordLocation(word, context) });
}
