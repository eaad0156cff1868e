import type { Report, Rule } from '../../../dockerfile/index.ts';
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
    for (const node of graph.stages) {
      if (needed.has(node) || ofLast.has(node)) continue;
      const isUsed = graph.stages.some((other) => other !== node && reachable(other, steps).has(node));
      if (isUsed || isTarget(node)) continue;
      yield {
        message: `the target ${view.target.node.name} does not need stage ${node.name}`,
        hint: `remove it, or say what it is for in a comment above: # ${node.stage.name ?? 'name'} what it is`,
        place: node.stage.from,
      };
    }
  },
};

function isTarget({ stage }: StageNode): boolean {
  const { name, from } = stage;
  if (name === undefined) return false;
  return TARGETS.test(name) || from.comments.some(({ text }) => text.toLowerCase().startsWith(`${name} `));
}
