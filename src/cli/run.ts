import { runImage } from '../index.ts';
import { usage, type Command } from './command.ts';

export const runCommand: Command = {
  name: 'run',
  usage: '[OPTIONS] IMAGE [COMMAND] [ARG...]',
  summary: "Runs an image from the local store with crun, on the host's network; what it writes is gone when it ends.",
  passThrough: true,
  flags: [
    { name: 'entrypoint', value: 'COMMAND', help: "Instead of the image's entry point" },
    {
      name: 'env',
      short: 'e',
      value: 'NAME[=VALUE]',
      multiple: true,
      help: "Environment; without =VALUE from the caller's",
    },
    { name: 'interactive', short: 'i', help: 'Pass standard input on' },
    { name: 'platform', value: 'OS/ARCH', help: "Of an image of several platforms (default: this machine's)" },
    { name: 'rm', help: 'Accepted: the container is always removed' },
    { name: 'tty', short: 't', help: 'Use this terminal' },
    { name: 'user', short: 'u', value: 'USER[:GROUP]', help: 'User' },
    { name: 'workdir', short: 'w', value: 'DIR', help: 'Working directory' },
  ],
  async run(parsed, io) {
    const [image, ...command] = parsed.positionals;
    if (image === undefined) throw usage(runCommand, 'run needs an image');
    return await runImage(image, {
      command,
      entrypoint: parsed.text('entrypoint'),
      env: parsed
        .list('env')
        .flatMap((word) =>
          word.includes('=') ? [word] : io.env[word] === undefined ? [] : [`${word}=${io.env[word] ?? ''}`],
        ),
      user: parsed.text('user'),
      workdir: parsed.text('workdir'),
      platform: parsed.text('platform'),
      tty: parsed.on('tty'),
      stdin: parsed.on('interactive') ? io.stdin : undefined,
      stdout: io.stdout,
      stderr: io.stderr,
      hostEnv: io.env,
      signal: io.signal,
    });
  },
};
