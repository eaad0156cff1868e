import { versionInfo } from '../index.ts';
import type { Command } from './command.ts';

export const versionCommand: Command = {
  name: 'version',
  usage: '',
  summary: 'Shows the version of Slipway, the Node it runs on, and the engine that builds.',
  flags: [{ name: 'json', help: 'As JSON' }],
  async run(parsed, io) {
    const info = await versionInfo({ env: io.env });
    if (parsed.on('json')) io.stdout.write(`${JSON.stringify(info, undefined, 2)}\n`);
    else
      io.stdout.write(
        `slipway ${info.version}\nnode ${info.node}\nengine ${info.engine}\nruntime ${info.runtime}\nroot ${info.root}\n`,
      );
    return 0;
  },
};
