import { BuildError, login, logout } from '../index.ts';
import { ask } from './ask.ts';
import { usage, type Command, type Io } from './command.ts';

export const loginCommand: Command = {
  name: 'login',
  usage: '[OPTIONS] [REGISTRY]',
  summary: 'Logs in to a registry (default: Docker Hub); docker and podman share the credentials.',
  flags: [
    { name: 'username', short: 'u', value: 'NAME', help: 'User; asked for at a terminal' },
    {
      name: 'password',
      short: 'p',
      value: 'PASSWORD',
      help: 'Password; others see it in the list of processes. Without it, it is asked for at a terminal',
    },
    { name: 'password-stdin', help: 'Read the password from standard input' },
  ],
  async run(parsed, io) {
    const [registry, ...more] = parsed.positionals;
    if (more.length > 0) throw usage(loginCommand, 'login takes one registry');
    const isPiped = parsed.on('password-stdin');
    if (isPiped && parsed.text('password') !== undefined)
      throw usage(loginCommand, 'login takes --password or --password-stdin, not both');
    const mayAsk = io.stdin.isTTY && !isPiped;
    const username = parsed.text('username') ?? (mayAsk ? (await ask(io, 'Username: ', true)).trim() : '');
    if (username === '') throw usage(loginCommand, 'login needs --username NAME where there is no terminal to ask at');
    const given = isPiped ? await readPassword(io) : parsed.text('password');
    const password = given ?? (mayAsk ? await ask(io, 'Password: ', false) : '');
    if (password === '') {
      throw usage(loginCommand, 'login needs a password: --password-stdin reads it from standard input');
    }
    const saved = await login({ registry, username, password }, { env: io.env });
    if (saved.plain)
      io.stderr.write(
        `The password is kept in ${saved.place}, readable by you alone; a credsStore there keeps it safer.\n`,
      );
    io.stdout.write(`Login succeeded: ${username} at ${saved.registry}\n`);
    return 0;
  },
};

export const logoutCommand: Command = {
  name: 'logout',
  usage: '[REGISTRY]',
  summary: 'Forgets the credentials for a registry (default: Docker Hub).',
  flags: [],
  async run(parsed, io) {
    const { registry, places } = await logout(parsed.positionals[0], { env: io.env });
    io.stdout.write(
      places.length === 0
        ? `Not logged in to ${registry}\n`
        : `Removed the login to ${registry} from ${places.join(', ')}\n`,
    );
    return 0;
  },
};

async function readPassword(io: Io): Promise<string> {
  if (io.stdin.isTTY) throw new BuildError({ code: 'usage', message: '--password-stdin reads a pipe, not a terminal' });
  const chunks: Buffer[] = [];
  for await (const chunk of io.stdin as AsyncIterable<Buffer>) chunks.push(Buffer.from(chunk));
  return Buffer.concat(chunks)
    .toString('utf8')
    .replace(/\r?\n$/, '');
}
