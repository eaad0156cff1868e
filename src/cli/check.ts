import {
  check,
  listRules,
  type CheckOptions,
  type CheckResult,
  type DockerfileOptions,
  type Severity,
} from '../index.ts';
import { usage, type Command, type Io, type Parsed } from './command.ts';
import { unifiedDiff } from './check/diff.ts';
import { githubAnnotations } from './check/github.ts';
import { checkJson, printJson } from './check/json.ts';
import { sarifLog } from './check/sarif.ts';
import { checkText } from './check/text.ts';
import { buildArgs, pairs } from './pairs.ts';
import { outlineOutput, targetsOutput } from './outline.ts';
import { table } from './table.ts';

const FORMATS = ['text', 'json', 'sarif', 'github'] as const;
const SEVERITIES = ['info', 'warning', 'error'] as const satisfies readonly Severity[];

export const checkCommand: Command = {
  name: 'check',
  usage: '[OPTIONS] CONTEXT',
  summary:
    'Checks a Dockerfile without building it; the network is not used. Exits with 1 for an error or a warning, with 0 for notes.',
  flags: [
    { name: 'build-arg', value: 'NAME[=VALUE]', multiple: true, help: 'Value of an ARG' },
    { name: 'build-context', value: 'NAME=VALUE', multiple: true, help: 'Named context' },
    { name: 'diff', help: 'Show what --fix would do, as a diff' },
    { name: 'enable', value: 'RULE[,RULE]', multiple: true, help: 'Run rules that are off by default; all' },
    {
      name: 'fail-on',
      value: 'SEVERITY',
      help: 'Least severity that fails: info, warning, error, never (default: warning)',
    },
    {
      name: 'file',
      short: 'f',
      value: 'PATH',
      help: 'Dockerfile (default: CONTEXT/Dockerfile); - reads standard input',
    },
    { name: 'fix', help: 'Make the repairs that are safe, then check what is left' },
    { name: 'format', value: 'FORMAT', help: `${FORMATS.join(', ')} (default: text)` },
    { name: 'platform', value: 'OS/ARCH', multiple: true, help: 'Platform of the image (default: this machine)' },
    { name: 'rules', help: 'List all rules' },
    { name: 'skip', value: 'RULE[,RULE]', multiple: true, help: 'Leave out rules; all' },
    { name: 'target', value: 'STAGE', help: 'Check what this stage needs (default: every stage)' },
  ],
  async run(parsed, io) {
    if (parsed.on('rules')) {
      io.stdout.write(await ruleTable());
      return 0;
    }
    const format = oneOf('format', parsed.text('format') ?? 'text', FORMATS);
    const failOn = oneOf('fail-on', parsed.text('fail-on') ?? 'warning', [...SEVERITIES, 'never']);
    const fix = parsed.on('diff') ? 'show' : parsed.on('fix') ? 'write' : undefined;
    const result = await check({ ...dockerfileOptions(checkCommand, parsed, io), ...ruleOptions(parsed), fix });
    if (fix === 'show') {
      if (result.fixed !== undefined) io.stdout.write(unifiedDiff(result.file, result.fixed.edits));
    } else {
      if (result.fixed !== undefined) io.stderr.write(`${repairs(result.fixed.repairs)} in ${result.file.filename}\n`);
      io.stdout.write(format === 'text' ? checkText(result) : await output(result, format));
    }
    return exitCode(result, failOn);
  },
};

function repairs(count: number): string {
  return count === 1 ? '1 repair' : `${count} repairs`;
}

async function output(result: CheckResult, format: Exclude<(typeof FORMATS)[number], 'text'>): Promise<string> {
  switch (format) {
    case 'json':
      return printJson(checkJson(result));
    case 'sarif':
      return printJson(sarifLog(result, await listRules()));
    case 'github':
      return githubAnnotations(result);
  }
}

/** 1 when something is at least as bad as `failOn`. What makes a build impossible is an error. */
function exitCode({ findings, errors }: CheckResult, failOn: Severity | 'never'): number {
  if (failOn === 'never') return 0;
  const rank = (severity: Severity): number => SEVERITIES.indexOf(severity);
  const isBad = errors.length > 0 || findings.some(({ rule }) => rank(rule.severity) >= rank(failOn));
  return isBad ? 1 : 0;
}

function ruleOptions(parsed: Parsed): Pick<CheckOptions, 'skip' | 'enable'> {
  const names = (flag: string): readonly string[] =>
    parsed.list(flag).flatMap((word) => word.split(',').map((name) => name.trim()));
  return { skip: names('skip'), enable: names('enable') };
}

async function ruleTable(): Promise<string> {
  const rules = await listRules();
  const rows = rules.map(({ name, severity, origin, default: isOn, description }) => [
    name,
    severity,
    isOn,
    origin,
    description,
  ]);
  return table(['RULE', 'SEVERITY', 'DEFAULT', 'ORIGIN', 'ASKS THAT'], rows);
}

function dockerfileOptions(command: Command, parsed: Parsed, io: Io): DockerfileOptions {
  const [context, ...more] = parsed.positionals;
  if (context === undefined) throw usage(command, `${command.name} needs a context, as in: slipway ${command.name} .`);
  if (more.length > 0) throw usage(command, `${command.name} takes one context; what about "${more[0] ?? ''}"?`);
  return {
    context,
    dockerfile: parsed.text('file'),
    target: parsed.text('target'),
    buildArgs: buildArgs(command, parsed.list('build-arg'), io.env),
    buildContexts: pairs(command, 'build-context', parsed.list('build-context')),
    platform: parsed.list('platform'),
    stdin: io.stdin,
    env: io.env,
    cwd: io.cwd,
    signal: io.signal,
  };
}

function oneOf<T extends string>(flag: string, word: string, known: readonly T[], command = checkCommand): T {
  const found = known.find((candidate) => candidate === word);
  if (found === undefined) throw usage(command, `--${flag} takes ${known.join(', ')}, not "${word}"`);
  return found;
}

/**
 * `slipway build --call=check|outline|targets[,format=json][,ignorestatus=true]`, as buildx reads it.
 * Resolves with the exit code.
 */
export async function callCommand(command: Command, call: string, parsed: Parsed, io: Io): Promise<number> {
  const [kind = '', ...settings] = call.split(',');
  const given = new Map(
    settings.map((setting) => [setting.split('=')[0] ?? '', setting.slice(setting.indexOf('=') + 1)]),
  );
  const unknown = [...given.keys()].find((name) => name !== 'format' && name !== 'ignorestatus');
  if (unknown !== undefined) throw usage(command, `--call knows format= and ignorestatus=, not "${unknown}"`);
  const format = oneOf('call format=', given.get('format') ?? 'text', ['text', 'json'] as const, command);
  const options = dockerfileOptions(command, parsed, io);
  switch (kind) {
    case 'outline':
      io.stdout.write(await outlineOutput(options, format));
      return 0;
    case 'targets':
      io.stdout.write(await targetsOutput(options, format));
      return 0;
    case 'check':
    case 'lint': {
      const result = await check(options);
      io.stdout.write(format === 'json' ? printJson(checkJson(result)) : checkText(result));
      const isIgnored = /^(?:1|t|true)$/i.test(given.get('ignorestatus') ?? '');
      return isIgnored ? 0 : exitCode(result, 'warning');
    }
    default:
      throw usage(command, `--call takes build, check, outline or targets, not "${kind}"`);
  }
}
