import type { CommandForm, Report, Rule } from '../../../dockerfile/index.ts';
import { imageName } from '../known-images.ts';
import { stepsOf } from '../view.ts';
import type { BuildView } from '../view.ts';
import { runCommands } from './commands.ts';
import type { Command } from './commands.ts';
import { isBuild, systemInstall, systemRemoval, virtualName } from './packages.ts';

/** Images of compilers, with what is enough to run what they make. */
const TOOLCHAINS: Readonly<Record<string, { readonly program: RegExp; readonly runtime: string }>> = {
  golang: { program: /^go$/, runtime: 'gcr.io/distroless/static' },
  rust: { program: /^cargo$/, runtime: 'debian:stable-slim' },
  gcc: { program: /^(?:gcc|g\+\+|cc|make|cmake|configure)$/, runtime: 'debian:stable-slim' },
  maven: { program: /^mvn$/, runtime: 'eclipse-temurin:21-jre' },
  gradle: { program: /^gradlew?$/, runtime: 'eclipse-temurin:21-jre' },
  swift: { program: /^swift$/, runtime: 'swift:slim' },
  'mcr.microsoft.com/dotnet/sdk': { program: /^dotnet$/, runtime: 'mcr.microsoft.com/dotnet/aspnet' },
};
/** Packages that nothing needs when it runs. */
const TOOLS =
  /^(?:build-essential|build-base|base-devel|gcc|g\+\+|gcc-c\+\+|clang|cmake|make|autoconf|automake|libtool|musl-dev|linux-headers|go|golang|golang-go|rust|rustc|cargo|maven|gradle|default-jdk(?:-headless)?|openjdk-?\d+(?:-jdk(?:-headless)?)?|java-[\w.]+-devel)$/;

export const buildToolsInFinalImage: Rule<BuildView> = {
  name: 'BuildToolsInFinalImage',
  severity: 'warning',
  description: 'Compilers and build tools stay in a stage of their own',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'What is only needed to build makes the image large, and gives an intruder tools. Build in a stage with a name, and copy the result into a small one. Reported where the image has a program to run and the tools were used to build it; an image that runs the tools themselves is left alone.',
    bad: 'FROM golang\nWORKDIR /src\nCOPY . .\nRUN go build -o /out/app .\nCMD ["/out/app"]',
    good: 'FROM golang AS build\nWORKDIR /src\nCOPY . .\nRUN go build -o /out/app .\nFROM gcr.io/distroless/static\nCOPY --from=build /out/app /out/app\nCMD ["/out/app"]',
  },
  *check(view): Iterable<Report> {
    const program = entryProgram(view);
    if (program === undefined) return;
    const toolchain = toolchainImage(view, program);
    if (toolchain !== undefined) yield toolchain;
    else yield* installedTools(view, program);
  },
};

/** What the image runs; undefined when it says nothing, or a shell: then it is no image of an application. */
function entryProgram({ target }: BuildView): readonly string[] | undefined {
  let found: CommandForm | undefined;
  for (const { instruction } of target.steps) {
    if (instruction.name === 'CMD') found ??= instruction.command;
    if (instruction.name === 'ENTRYPOINT') found = instruction.command;
  }
  if (found === undefined) return undefined;
  const words = found.form === 'exec' ? found.args : found.text.trim().split(/\s+/);
  const isShell = /^(?:\S*\/)?(?:ba|da|a|z)?sh$/.test(words[0] ?? '') && words.length === 1;
  return words.length === 0 || isShell ? undefined : words;
}

function toolchainImage(view: BuildView, program: readonly string[]): Report | undefined {
  const [root] = view.image;
  const name = root === undefined || root.root !== 'image' ? undefined : imageName(root.node);
  const toolchain = name === undefined || !Object.hasOwn(TOOLCHAINS, name) ? undefined : TOOLCHAINS[name];
  if (root === undefined || toolchain === undefined) return undefined;
  const runs = (program[0] ?? '').replace(/^.*\//, '');
  if (toolchain.program.test(runs) && !(runs === 'dotnet' && program[1]?.endsWith('.dll'))) return undefined;
  const builds = [...stepsOf(view.image, 'RUN')].flatMap((step) =>
    runCommands(step).map((command) => ({ step, command })),
  );
  const build = builds.find(({ command }) => toolchain.program.test(command.program) && isBuild(command));
  if (build === undefined) return undefined;
  return {
    message: `the image keeps all of ${root.node.baseName}, which is needed to build only`,
    hint: rewrite(root.node.baseName, root.node.stage.name, toolchain.runtime, build.command, program),
    place: root.node.stage.from,
  };
}

/** The end of the file as it could be. */
function rewrite(
  base: string,
  stageName: string | undefined,
  runtime: string,
  build: Command,
  program: readonly string[],
): string {
  const name = stageName ?? 'build';
  const at = build.args.indexOf('-o');
  const output = at < 0 ? program.find((word) => word.startsWith('/')) : build.args[at + 1];
  const path = output?.startsWith('/') === true ? output : '/path/of/the/result';
  return [
    `build in a stage, ship the result:`,
    `  FROM ${base} AS ${name}`,
    `  ... the steps up to ${[build.program, ...build.args].slice(0, 2).join(' ')}`,
    `  FROM ${runtime}`,
    `  COPY --from=${name} ${path} ${path}`,
    `  CMD ${JSON.stringify(program)}`,
  ].join('\n');
}

function* installedTools(view: BuildView, program: readonly string[]): Iterable<Report> {
  const runs = [...stepsOf(view.image, 'RUN')];
  const all = runs.flatMap((step) => runCommands(step));
  const runsTool = (program[0] ?? '').replace(/^.*\//, '');
  if (!all.some(isBuild) || TOOLS.test(runsTool)) return;
  const lastBuild = runs.findLastIndex((step) => runCommands(step).some(isBuild));
  for (const step of runs.slice(0, lastBuild + 1)) {
    const left = toolsLeft(runCommands(step));
    if (left.length === 0) continue;
    yield {
      message: `${left.slice(0, 3).join(', ')} ${left.length === 1 ? 'stays' : 'stay'} in the image, where only the build needs ${left.length === 1 ? 'it' : 'them'}`,
      hint: `install and build in a stage of its own, FROM ${view.image[0]?.node.baseName ?? 'image'} AS build, and take the results with COPY --from=build; or remove the tools in the same RUN`,
      place: step,
    };
  }
}

/** Tools that a RUN installs and does not remove again. */
function toolsLeft(commands: readonly Command[]): readonly string[] {
  const left: string[] = [];
  for (const [i, command] of commands.entries()) {
    const tools = systemInstall(command)?.packages.filter((name) => TOOLS.test(name)) ?? [];
    const after = commands.slice(i + 1);
    // All that nobody asked for by hand goes with the purge.
    if (after.some(({ program, args }) => program === 'apt-mark' && args[0] === 'auto')) continue;
    const removed = after.flatMap(systemRemoval);
    const virtual = virtualName(command);
    if (virtual !== undefined && removed.includes(virtual)) continue;
    left.push(...tools.filter((name) => !removed.includes(name)));
  }
  return left;
}
