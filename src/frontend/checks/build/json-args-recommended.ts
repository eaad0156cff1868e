import type { CmdInstruction, EntrypointInstruction, Report, Rule, TextEdit } from '../../../dockerfile/index.ts';
import { shellToJson } from '../shell-to-json.ts';
import { stepsOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';

export const jsonArgsRecommended: Rule<BuildView> = {
  name: 'JSONArgsRecommended',
  severity: 'warning',
  description: 'CMD and ENTRYPOINT are written as JSON array',
  origin: 'buildkit',
  default: 'on',
  fixes: true,
  doc: {
    why: 'Otherwise a shell is process 1: it does not pass signals on, so that the container ends by SIGKILL after a time of waiting. A SHELL instruction says that the shell is meant. `--fix` rewrites commands of plain words.',
    bad: 'FROM alpine\nCMD my-server --port 80',
    good: 'FROM alpine\nCMD ["my-server", "--port", "80"]',
  },
  *check({ stages }): Iterable<Report> {
    for (const stage of stages) {
      for (const step of stepsOf([stage], 'CMD')) yield* reportStep(step);
      for (const step of stepsOf([stage], 'ENTRYPOINT')) yield* reportStep(step);
    }
  },
};

function* reportStep(step: StepView<CmdInstruction | EntrypointInstruction>): Iterable<Report> {
  const { name, command } = step.instruction;
  if (command.form !== 'shell' || step.hasShell) return;
  const json = shellToJson(command.text);
  yield {
    message: `${name} runs in a shell, which does not pass signals on`,
    hint: json === undefined ? `write ${name} as JSON array of strings` : `write ${name} ${json}`,
    place: step,
    edits: repair(step, json),
  };
}

function repair(
  { instruction, onBuild }: StepView<CmdInstruction | EntrypointInstruction>,
  json: string | undefined,
): readonly TextEdit[] {
  const { range } = instruction.command;
  if (json === undefined || onBuild || range.start.line !== range.end.line) return [];
  return [{ range, text: json }];
}
