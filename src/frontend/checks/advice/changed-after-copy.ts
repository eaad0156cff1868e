import type { Report, Rule, RunInstruction } from '../../../dockerfile/index.ts';
import { absolutePath } from '../../paths.ts';
import { isStepOf } from '../view.ts';
import type { BuildView, StepView } from '../view.ts';
import { runCommands } from './commands.ts';
import type { Command } from './commands.ts';
import { asCopy, copied, isWholeContext, isWithin } from './copied.ts';
import type { Copied } from './copied.ts';

/** Programs that make no file that a later chmod could be meant for. */
const HARMLESS = new Set(
  'addgroup adduser apk apt apt-get cd chgrp chmod chown echo export groupadd ln mkdir rm set true useradd usermod'.split(
    ' ',
  ),
);

export const changedAfterCopy: Rule<BuildView> = {
  name: 'ChangedAfterCopy',
  severity: 'warning',
  description: 'Mode and owner of copied files are set by COPY, not by a RUN after it',
  origin: 'slipway',
  default: 'on',
  doc: {
    why: 'A layer cannot hold a mode without its file: the files are in the image twice. COPY and ADD take `--chmod` and `--chown`. Only what ends up in the image is looked at.',
    bad: 'FROM alpine\nCOPY entrypoint.sh /entrypoint.sh\nRUN chmod +x /entrypoint.sh\nENTRYPOINT ["/entrypoint.sh"]',
    good: 'FROM alpine\nCOPY --chmod=755 entrypoint.sh /entrypoint.sh\nENTRYPOINT ["/entrypoint.sh"]',
  },
  *check(view): Iterable<Report> {
    const brought: Copied[] = [];
    /** Something else may have made files since these were copied. */
    let stale: ReadonlySet<Copied> = new Set();
    for (const step of view.image.flatMap(({ steps }) => steps)) {
      const copy = asCopy(step);
      const target = copy === undefined ? undefined : copied(copy, view);
      if (target !== undefined) brought.push(target);
      if (!isStepOf(step, 'RUN')) continue;
      const commands = runCommands(step);
      const found = changeIn(step, commands, brought, stale);
      if (found !== undefined) yield found;
      if (!commands.every(({ program }) => HARMLESS.has(program))) stale = new Set(brought);
    }
  },
};

function changeIn(
  step: StepView<RunInstruction>,
  commands: readonly Command[],
  brought: readonly Copied[],
  stale: ReadonlySet<Copied>,
): Report | undefined {
  let directory = step.workdir;
  let isFresh = true;
  for (const { program, args } of commands) {
    if (program === 'cd') directory = undefined;
    if (program === 'chmod' || program === 'chown') {
      const [value, ...paths] = args.filter(
        (arg) => !/^--?[A-Za-z]/.test(arg) || (program === 'chmod' && /^-[rwxst]+$/.test(arg)),
      );
      const isRecursive = args.some((arg) => /^-[a-zA-Z]*R|^--recursive$/.test(arg));
      for (const path of paths) {
        if (value === undefined || path.includes('$') || (!path.startsWith('/') && directory === undefined)) continue;
        const full = absolutePath(directory ?? '/', path);
        const copy = brought.findLast((candidate) =>
          isChanged(candidate, full, value, isRecursive, isFresh && !stale.has(candidate)),
        );
        if (copy !== undefined) return reportOf(step, program, value, path, copy);
      }
    }
    isFresh &&= HARMLESS.has(program);
  }
  return undefined;
}

function isChanged(copy: Copied, path: string, value: string, isRecursive: boolean, isFresh: boolean): boolean {
  const { destination, isDirectory, sources } = copy;
  const wild = path.search(/[*?[]/);
  const literal = wild < 0 ? path : path.slice(0, path.lastIndexOf('/', wild)) || '/';
  if (isRecursive && wild < 0 && isWithin(destination, path)) return true;
  const files = sources.filter((source) => !isWholeContext(source.path) && !source.path.endsWith('/'));
  if (wild < 0 && files.some((source) => source.target === path && isLikelyFile(source.path, value))) return true;
  const holdsMore = isDirectory || sources.some(({ path: source }) => isWholeContext(source) || source.endsWith('/'));
  if (!holdsMore || destination === '/') return false;
  return isFresh && literal !== path
    ? isWithin(literal, destination)
    : isFresh && path !== destination && isWithin(path, destination);
}

/** Without -R, a directory is changed itself, not what is in it. */
function isLikelyFile(path: string, value: string): boolean {
  return /[^/]\.\w+$/.test(path) || value.includes('x') || /\/s?bin\//.test(path);
}

function reportOf(step: StepView, program: string, value: string, path: string, { step: copy }: Copied): Report {
  const flag = `--${program}=${value}`;
  const { name } = copy.instruction;
  return {
    message: `${program} ${path} puts a second copy of what ${name} on line ${copy.range.start.line} brought into the image`,
    hint: `write ${name} ${flag} on line ${copy.range.start.line}, and leave the ${program} out`,
    place: step,
  };
}
