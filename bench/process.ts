import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createTreeSampler, type PeakMemory } from './memory.ts';
import type { Command } from './types.ts';

export interface Timed {
  /** Seconds from the start of the first process to the end of the last. */
  readonly seconds: number;
  /** Processor seconds of the commands, all that they waited for, and the daemons; in steps of 0.01. */
  readonly cpuSeconds: number;
  /** Of the process tree (and daemons); only when asked for. */
  readonly memory?: PeakMemory | undefined;
}

export interface RunOptions {
  /** Processes that work for the commands. */
  readonly daemons?: readonly number[] | undefined;
  /** Watches memory: costs time, so never in a run that counts. */
  readonly memory?: boolean | undefined;
  /** Seconds after which it is ended. */
  readonly timeout?: number | undefined;
}

const DEFAULT_TIMEOUT = 900;

/** Runs commands one after the other. @throws Error with the end of the output when one fails. */
export async function runCommands(commands: readonly Command[], options: RunOptions = {}): Promise<Timed> {
  const daemons = options.daemons ?? [];
  const sampler = options.memory === true ? createTreeSampler(daemons) : undefined;
  const cpuBefore = cpuSecondsOf(daemons);
  const start = process.hrtime.bigint();
  try {
    for (const command of commands) await runOne(command, options.timeout ?? DEFAULT_TIMEOUT, sampler?.watch);
  } finally {
    sampler?.stop();
  }
  const seconds = Number(process.hrtime.bigint() - start) / 1e9;
  return { seconds, cpuSeconds: cpuSecondsOf(daemons) - cpuBefore, memory: sampler?.peak() };
}

/** Clock ticks a second in /proc (USER_HZ, the same on every Linux that Node runs on). */
const TICKS = 100;

/** What ended children of this process took, and what daemons took with theirs: fields 14 to 17 of /proc/PID/stat. */
function cpuSecondsOf(daemons: readonly number[]): number {
  const times = (pid: number | 'self'): readonly number[] => {
    try {
      const stat = readFileSync(`/proc/${pid}/stat`, 'latin1');
      return stat
        .slice(stat.lastIndexOf(')') + 2)
        .split(' ')
        .slice(11, 15)
        .map(Number);
    } catch {
      return [];
    }
  };
  const sum = (values: readonly number[]) => values.reduce((a, b) => a + b, 0);
  return (sum(times('self').slice(2)) + sum(daemons.flatMap(times))) / TICKS;
}

function runOne(command: Command, timeout: number, onStart?: (pid: number) => void): Promise<void> {
  const [program, ...args] = command.argv;
  return new Promise((resolve, reject) => {
    // Output goes where the users of a script have it: to a pipe that is read.
    const child = spawn(program, args, {
      cwd: command.cwd,
      env: { ...process.env, ...command.env },
      stdio: ['ignore', 'pipe', 'pipe'],
      detached: true,
    });
    if (child.pid !== undefined) onStart?.(child.pid);
    let tail = Buffer.alloc(0);
    const keep = (chunk: Buffer) => {
      tail = Buffer.concat([tail, chunk]).subarray(-4000);
    };
    child.stdout.on('data', keep);
    child.stderr.on('data', keep);
    const timer = setTimeout(() => {
      if (child.pid !== undefined) process.kill(-child.pid, 'SIGKILL');
    }, timeout * 1000);
    child.on('error', reject);
    child.on('exit', (code, signal) => {
      clearTimeout(timer);
      if (code === 0) resolve();
      else reject(new Error(`${command.argv.join(' ')} ended with ${signal ?? code}:\n${tail.toString('utf8')}`));
    });
  });
}

/** What a program prints; undefined when it is not there or fails. */
export async function outputOf(argv: readonly [string, ...string[]]): Promise<string | undefined> {
  const [program, ...args] = argv;
  return new Promise((resolve) => {
    const child = spawn(program, args, { stdio: ['ignore', 'pipe', 'ignore'] });
    let text = '';
    child.stdout.on('data', (chunk: Buffer) => (text += chunk.toString('utf8')));
    child.on('error', () => resolve(undefined));
    child.on('close', (code) => resolve(code === 0 ? text.trim() : undefined));
  });
}
