import type { Report, Rule } from '../../../dockerfile/index.ts';
import { couldMeanStage } from '../../graph-checks.ts';
import { reachable } from '../../plan.ts';
import type { StageNode } from '../../stage-graph.ts';
import type { BuildView } from '../view.ts';

/** Names that say of a stage that it is built by `--target`. */
const TARGETS =
  /(?:^|[-_.])(?:test|tests|testing|lint|ci|check|checks|dev|develop|development|devcontainer|debug|docs|bench|e2e|export|artifact|artifacts|release|binaries|all|validate|vendor|update)(?:$|[-_.])/;

export const unusedStage: Rule<BuildView> = {
  name: 'UnusedStage',
  severity: 'info',
  description: 'Every stage is of use to the target',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'The build leaves such a stage out: what it seems to do does not happen. A stage that is a target of its own has a description (a comment `# name what it is` directly above) or a name that says so, as `test` or `dev`; these are not reported.',
    bad: 'FROM golang AS tools\nRUN go install example.org/tool@latest\nFROM golang AS build\nRUN go build -o /app\nFROM scratch\nCOPY --from=build /app /app',
    good: 'FROM golang AS build\nRUN go build -o /app\nFROM scratch\nCOPY --from=build /app /app',
  },
  *check(view): Iterable<Report> {
    const { graph, needed, steps } = view;
    // The last stage is the target of a plain build, whatever is checked now.
    const last = graph.stages.at(-1);
    const ofLast = last === undefined ? new Set() : reachable(last, steps);
    const used = usedStages(view);
    for (const node of graph.stages) {
      if (needed.has(node) || ofLast.has(node)) continue;
      // Which of its names is meant, MissingStageName says.
      if (used.has(node) || isTarget(node) || (node.stage.name === undefined && namesUnknownStage(view))) continue;
      yield {
        message: `the target ${view.target.node.name} does not need stage ${node.name}`,
        hint: `remove it, or say what it is for in a comment above: # ${node.stage.name ?? 'name'} what it is`,
        place: node.stage.from,
      };
    }
  },
};

/** Those that another one stands on or takes from. */
function usedStages({ graph, steps }: BuildView): ReadonlySet<unknown> {
  const used = new Set<unknown>();
  for (const node of graph.stages) {
    used.add(node.base);
    for (const { sources } of steps.get(node) ?? [])
      for (const source of sources) if (source !== node) used.add(source);
  }
  return used;
}

function namesUnknownStage({ steps, options }: BuildView): boolean {
  return [...steps.values()].some((own) =>
    own.some(({ sources }) =>
      sources.some((source) => source.kind === 'external' && couldMeanStage(source.name, options)),
    ),
  );
}

function isTarget({ stage }: StageNode): boolean {
  const { name, from } = stage;
  if (name === undefined) return false;
  return TARGETS.test(name) || from.comments.some(({ text }) => text.toLowerCase().startsWith(`${name} `));
}
