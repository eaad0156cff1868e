/** Questions to whoever sits at the terminal. */
import { BuildError } from '../index.ts';
import type { Io } from './command.ts';

const INTERRUPT = '\u0003';
const END = '\u0004';
const ERASE = ['\u007f', '\b'];
const ERASE_LINE = '\u0015';
const ENTER = ['\r', '\n'];

/**
 * Reads one line from the terminal that standard input is. The terminal is taken out of its own echo for the time, so
 * that a password never shows, nor what was typed before it was asked for.
 *
 * @throws BuildError `cancelled` on Ctrl-C, and on Ctrl-D before anything was typed
 */
export async function ask({ stdin, stderr }: Io, question: string, shows: boolean): Promise<string> {
  stdin.setRawMode(true);
  stderr.write(question);
  try {
    return await readLine(stdin, shows ? (text) => stderr.write(text) : () => undefined);
  } finally {
    stdin.setRawMode(false);
    stderr.write('\n');
  }
}

async function readLine(stdin: NodeJS.ReadStream, echo: (text: string) => void): Promise<string> {
  let line: readonly string[] = [];
  const cancelled = new BuildError({ code: 'cancelled', message: 'cancelled' });
  return await new Promise<string>((resolve, reject) => {
    const onEnd = (): void => settle(() => reject(cancelled));
    const settle = (act: () => void): void => {
      stdin.off('data', onData).off('end', onEnd).pause();
      act();
    };
    const onData = (chunk: Buffer | string): void => {
      const characters = Array.from(chunk.toString());
      for (const [i, character] of characters.entries()) {
        if (ENTER.includes(character)) {
          // What was typed ahead answers the next question.
          const rest = characters.slice(i + 1).join('');
          settle(() => resolve(line.join('')));
          if (rest !== '') stdin.unshift(Buffer.from(rest));
          return;
        }
        if (character === INTERRUPT || (character === END && line.length === 0)) {
          settle(() => reject(cancelled));
          return;
        }
        if (ERASE.includes(character)) {
          if (line.length > 0) echo('\b \b');
          line = line.slice(0, -1);
        } else if (character === ERASE_LINE) {
          echo('\b \b'.repeat(line.length));
          line = [];
        } else if (character >= ' ') {
          line = [...line, character];
          echo(character);
        }
      }
    };
    stdin.on('data', onData).on('end', onEnd).resume();
  });
}
