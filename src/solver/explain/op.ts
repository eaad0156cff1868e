/** What differs between two ops, in a user's words. */
import type { KeyPart } from '../keys.ts';
import { instructionOf } from './match.ts';
import type { ExplainedBuild, GraphStep, Reason } from './types.ts';

/** Fields of op-identity.ts by what a user calls them. */
const OPTION_NAMES: Readonly<Record<string, string>> = {
  cwd: 'WORKDIR',
  user: 'USER',
  network: '--network',
  security: '--security',
  hosts: '--add-host',
  mounts: '--mount',
  'secret-env': '--mount=type=secret',
  devices: '--device',
};

/** A step and the build that it is a step of. */
export interface StepOf {
  readonly build: ExplainedBuild;
  readonly step: GraphStep;
}

export function opReasons(current: StepOf, earlier: StepOf): readonly Reason[] {
  const [a, b] = [fieldsOf(current.step), fieldsOf(earlier.step)];
  if (a.get('op') !== b.get('op')) return [commandReason(current, earlier)];
  const reasons: Reason[] = [];
  for (const name of new Set([...a.keys(), ...b.keys()])) {
    const [to, from] = [a.get(name), b.get(name)];
    if (same(to, from)) continue;
    switch (name) {
      case 'args':
        reasons.push({ kind: 'command', from: command(from), to: command(to) });
        break;
      case 'env':
        reasons.push(...variableReasons(from, to, current.build));
        break;
      case 'actions':
        reasons.push(...actionReasons(current, earlier));
        break;
      default:
        reasons.push({ kind: 'option', name: OPTION_NAMES[name] ?? name, from: plain(from), to: plain(to) });
    }
  }
  // Mounts are best told by the instruction that has them.
  return reasons.map((reason) =>
    reason.kind === 'option' && reason.from === undefined && instructionOf(current.step) !== instructionOf(earlier.step)
      ? { ...reason, from: instructionOf(earlier.step), to: instructionOf(current.step) }
      : reason,
  );
}

function fieldsOf({ op }: GraphStep): ReadonlyMap<string, KeyPart> {
  return new Map(op ?? []);
}

function same(a: KeyPart | undefined, b: KeyPart | undefined): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

function plain(part: KeyPart | undefined): string | undefined {
  if (typeof part === 'string' || part === undefined) return part ?? '';
  return part.every((item) => typeof item === 'string') ? part.filter((item) => item !== '').join('/') : undefined;
}

/** `/bin/sh -c` is the shell that the user did not write. */
function command(part: KeyPart | undefined): string {
  const words = Array.isArray(part) ? part.filter((word) => typeof word === 'string') : [];
  return (words[0] === '/bin/sh' && words[1] === '-c' ? words.slice(2) : words).join(' ');
}

function variableReasons(
  before: KeyPart | undefined,
  after: KeyPart | undefined,
  { args }: ExplainedBuild,
): readonly Reason[] {
  const [from, to] = [environment(before), environment(after)];
  const reasons: Reason[] = [];
  for (const name of new Set([...to.keys(), ...from.keys()])) {
    if (to.get(name) === from.get(name)) continue;
    const scope = Object.hasOwn(args, name) || PREDEFINED.test(name) ? 'ARG' : 'ENV';
    reasons.push({ kind: 'variable', scope, name, from: from.get(name), to: to.get(name) });
  }
  return reasons.length > 0 ? reasons : [{ kind: 'order' }];
}

const PREDEFINED = /^(TARGET|BUILD)(PLATFORM|OS|ARCH|VARIANT)$|^SOURCE_DATE_EPOCH$/;

function environment(part: KeyPart | undefined): ReadonlyMap<string, string> {
  const entries = Array.isArray(part) ? part.filter((entry): entry is string => typeof entry === 'string') : [];
  return new Map(
    entries.map((entry) => {
      const at = entry.indexOf('=');
      return at < 0 ? [entry, ''] : [entry.slice(0, at), entry.slice(at + 1)];
    }),
  );
}

/** The same words may mean something else by a variable in them, or by the text of a here-document. */
function actionReasons(current: StepOf, earlier: StepOf): readonly Reason[] {
  const { step } = current;
  if (instructionOf(step) !== instructionOf(earlier.step)) return [commandReason(current, earlier)];
  const [args, before] = [current.build.args, earlier.build.args];
  const named = [...(step.text ?? '').matchAll(/\$\{?(\w+)/g)].map(([, name = '']) => name);
  const variables = [...new Set([...named, 'SOURCE_DATE_EPOCH'])].filter((name) => args[name] !== before[name]);
  if (variables.length > 0) {
    return variables.map((name) => ({ kind: 'variable', scope: 'ARG', name, from: before[name], to: args[name] }));
  }
  if (step.name !== earlier.step.name) return [{ kind: 'command', from: earlier.step.name, to: step.name }];
  if (step.text?.includes('<<') === true) return [{ kind: 'option', name: 'here-document' }];
  return [{ kind: 'option', name: 'options' }];
}

function commandReason({ step }: StepOf, { step: earlier }: StepOf): Reason {
  return { kind: 'command', from: instructionOf(earlier), to: instructionOf(step) };
}
