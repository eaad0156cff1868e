/** What instructions name by `--from` and a mount's `from`, and the stage or image each name means. */
import { BuildError } from '../contracts/index.ts';
import type { SourceLocation } from '../contracts/index.ts';
import type { Instruction, Word } from '../dockerfile/index.ts';
import type { ExternalNode, GraphNode, StageGraph, StageNode, Step } from './stage-graph.ts';

/** A name of a file system in an instruction; `name` is empty for a mount without `from`. */
interface Reference {
  readonly name: string;
  /** COPY takes stage numbers too, a mount does not. */
  readonly acceptsIndex: boolean;
  readonly word: Word;
}

const NO_SOURCES: readonly GraphNode[] = [];
const NO_REFERENCES: readonly Reference[] = [];

/** In the order in which they are written; one a mount, so that mounts and sources are parallel. */
function references(instruction: Instruction): readonly Reference[] {
  if (instruction.name === 'COPY') {
    const { from } = instruction;
    if (from === undefined) return NO_REFERENCES;
    return [{ name: from.text, acceptsIndex: true, word: from }];
  }
  if (instruction.name !== 'RUN' || instruction.mounts.length === 0) return NO_REFERENCES;
  return instruction.mounts.map((word) => ({ name: mountFrom(word.text), acceptsIndex: false, word }));
}

/** `from` of a mount, which cannot hold a variable; the other options are read once their variables are known. */
function mountFrom(csv: string): string {
  const fields = csv.matchAll(/(?:^|,)"?from=([^,"]*)"?(?=,|$)/gi);
  return Array.from(fields, ([, name = '']) => name).at(-1) ?? '';
}

/** Finds what names mean; images and contexts are made once for each name. */
export class References {
  readonly #graph: StageGraph;
  readonly #external = new Map<string, ExternalNode>();

  constructor(graph: StageGraph) {
    this.#graph = graph;
  }

  /**
   * The instruction as a step of a stage.
   *
   * @throws BuildError `stage` for a number out of range, `dockerfile` for a variable in the name.
   */
  step(instruction: Instruction, location: SourceLocation, onBuild: boolean): Step {
    const named = references(instruction);
    if (named.length === 0) return { instruction, sources: NO_SOURCES, location, onBuild };
    const at = (word: Word): SourceLocation => (onBuild ? location : { file: location.file, ranges: [word.range] });
    const sources = named.map(({ name, acceptsIndex, word }) => {
      if (acceptsIndex) rejectVariable(name, at(word));
      return this.#find(name === '' ? 'scratch' : name, acceptsIndex, at(word));
    });
    return { instruction, sources, location, onBuild };
  }

  #find(name: string, acceptsIndex: boolean, location: SourceLocation): GraphNode {
    if (acceptsIndex && /^[+-]?\d+$/.test(name)) return stageAt(this.#graph, Number(name), location);
    const stage = this.#graph.byName.get(name.toLowerCase());
    if (stage !== undefined) return stage;
    let external = this.#external.get(name);
    if (external === undefined) {
      external = { kind: 'external', name, location };
      this.#external.set(name, external);
    }
    return external;
  }

  /** Whether anything outside the file's stages was named: progress then shows stage names even of a single stage. */
  get hasExternal(): boolean {
    return this.#external.size > 0;
  }
}

function rejectVariable(name: string, location: SourceLocation): void {
  if (!/[$'"\\]/.test(name)) return;
  throw new BuildError({
    code: 'dockerfile',
    message: `--from=${name}: variables are not expanded in --from`,
    hint: 'add a stage `FROM $NAME AS alias` with an ARG before the first FROM, and copy --from=alias',
    location,
  });
}

function stageAt(graph: StageGraph, index: number, location: SourceLocation): StageNode {
  const stage = graph.stages[index];
  if (stage !== undefined) return stage;
  const last = graph.stages.length - 1;
  throw new BuildError({
    code: 'stage',
    message: `--from=${index} names no stage: the file has stages 0 to ${last}`,
    hint: 'count stages from 0, or name them: FROM image AS name',
    location,
  });
}
