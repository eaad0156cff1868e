import type { Report, Rule } from '../../../dockerfile/index.ts';
import { couldMeanStage } from '../../graph-checks.ts';
import type { ExternalNode, StageNode } from '../../stage-graph.ts';
import type { BuildView } from '../view.ts';

export const missingStageName: Rule<BuildView> = {
  name: 'MissingStageName',
  severity: 'error',
  description: 'A stage that is copied from by a name has that name',
  origin: 'slipway',
  default: 'on',
  fixes: true,
  doc: {
    why: '`COPY --from=build` takes files from the image `build` when no stage is called so. Where one stage without a name can be meant and nothing else, `--fix` gives it the name.',
    bad: 'FROM golang:latest\nCOPY app.go .\nRUN go build -o my-binary\nFROM alpine:latest\nCOPY --from=build /go/my-binary .\nCMD ["./my-binary"]',
    good: 'FROM golang:latest AS build\nCOPY app.go .\nRUN go build -o my-binary\nFROM alpine:latest\nCOPY --from=build /go/my-binary .\nCMD ["./my-binary"]',
  },
  *check(view): Iterable<Report> {
    const unknown = view.stages.flatMap((stage) =>
      stage.steps.flatMap((step) =>
        step.sources.flatMap((source) =>
          source.kind === 'external' && isUnknown(source, view) ? { stage, step, source } : [],
        ),
      ),
    );
    const names = new Set(unknown.map(({ source }) => source.name.toLowerCase()));
    const first = new Set<string>();
    const free = unnamedStages(view);
    for (const { stage, step, source } of unknown) {
      const name = source.name.toLowerCase();
      if (first.has(name)) continue;
      first.add(name);
      const unnamed = free.filter(({ index }) => index < stage.node.index);
      const meant = unnamed.at(-1);
      if (meant === undefined) continue;
      const at = meant.stage.from;
      const isCertain = unnamed.length === 1 && names.size === 1 && !isNameTaken(name, view);
      yield {
        message: `--from=${source.name} names no stage; stage ${meant.index} (${meant.baseName}, line ${at.range.start.line}) has no name`,
        hint: `add AS ${name} to line ${at.range.start.line}, or use --from=${meant.index}`,
        place: step,
        range: step.onBuild ? undefined : source.location.ranges[0],
        edits: isCertain
          ? [{ range: { start: at.image.range.end, end: at.image.range.end }, text: ` ${as(at.keyword)} ${name}` }]
          : [],
      };
    }
  },
};

function as(fromKeyword: string): string {
  return fromKeyword === fromKeyword.toLowerCase() ? 'as' : 'AS';
}

/** A name like that of a stage, but not near to one that there is: then a slip is likelier. */
function isUnknown({ name }: ExternalNode, { options }: BuildView): boolean {
  return /^[a-z]/i.test(name) && couldMeanStage(name, options);
}

/** Stages without a name that nothing uses by their number. */
function unnamedStages({ graph, target, steps }: BuildView): readonly StageNode[] {
  const used = new Set([...steps.values()].flatMap((own) => own.flatMap(({ sources }) => sources)));
  return graph.stages.filter((node) => node.stage.name === undefined && node !== target.node && !used.has(node));
}

/** With the name, a FROM of the file would mean the stage. */
function isNameTaken(name: string, { graph }: BuildView): boolean {
  return graph.stages.some(({ baseName, stage }) => baseName.toLowerCase() === name || stage.name === name);
}
