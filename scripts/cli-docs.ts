/** Writes docs/cli.md from the tables of flags; `--check` only says whether it is up to date. */
import { readFileSync, writeFileSync } from 'node:fs';
import { help, type Command } from '../src/cli/command.ts';
import { attestCommand } from '../src/cli/attest.ts';
import { buildCommand } from '../src/cli/build.ts';
import { buildsCommand } from '../src/cli/builds.ts';
import { builderCommand } from '../src/cli/builder.ts';
import { checkCommand } from '../src/cli/check.ts';
import { diffCommand } from '../src/cli/diff.ts';
import { duCommand } from '../src/cli/du.ts';
import { explainCommand } from '../src/cli/explain.ts';
import { indexCommand } from '../src/cli/image-index.ts';
import { historyCommand } from '../src/cli/images/history.ts';
import { inspectCommand } from '../src/cli/images/inspect.ts';
import { imagesCommand } from '../src/cli/images/list.ts';
import { rmiCommand } from '../src/cli/images/remove.ts';
import { loadCommand, pullCommand, pushCommand, saveCommand, tagCommand } from '../src/cli/images/transfer.ts';
import { lockCommand } from '../src/cli/lock.ts';
import { loginCommand, logoutCommand } from '../src/cli/login.ts';
import { planCommand } from '../src/cli/plan.ts';
import { pruneCommand } from '../src/cli/prune.ts';
import { runCommand } from '../src/cli/run.ts';
import { versionCommand } from '../src/cli/version.ts';

const COMMANDS: readonly Command[] = [
  buildCommand,
  builderCommand,
  checkCommand,
  planCommand,
  explainCommand,
  buildsCommand,
  diffCommand,
  imagesCommand,
  inspectCommand,
  indexCommand,
  historyCommand,
  attestCommand,
  runCommand,
  tagCommand,
  pullCommand,
  pushCommand,
  saveCommand,
  loadCommand,
  rmiCommand,
  duCommand,
  pruneCommand,
  lockCommand,
  loginCommand,
  logoutCommand,
  versionCommand,
];
const FILE = new URL('../docs/cli.md', import.meta.url);

const text = `# The command line

Made from the tables of flags by \`node scripts/cli-docs.ts\`.

| exit code | meaning |
| --- | --- |
| 0 | done |
| 1 | the build failed: Dockerfile, context, a step, a destination; \`plan\`: something would run; \`--verify-cache\`: a wrong hit |
| 2 | wrong flags or arguments |
| 3 | this machine lacks something: runtime, privilege, permission |
| 4 | a registry or an image: not found, not reachable, refused, not what its digest says |
| 5 | the state directory: full or damaged |
| 6 | the BuildKit daemon: not reachable, gone, or not able to |
| 70 | a bug |
| 130 | stopped by Ctrl-C or a signal |

\`slipway run\` exits with the code of the program it ran; 125 when it could not be started. [errors.md](errors.md) lists what leads to which.

| variable | meaning |
| --- | --- |
| SLIPWAY_ROOT | the state directory; default /var/lib/slipway for root, else $XDG_DATA_HOME/slipway (~/.local/share/slipway) |
| SLIPWAY_MIRRORS | mirrors of registries: \`docker.io=HOST[:PORT][,HOST...][;REGISTRY=...]\`; plain http on loopback |
| SLIPWAY_ENGINE | \`embedded\` or \`buildkit\`: which engine builds ([engines.md](engines.md)) |
| SLIPWAY_CONFIG | directory of the user's settings (builders); default $XDG_CONFIG_HOME/slipway (~/.config/slipway) |
| BUILDKIT_HOST, DOCKER_HOST, DOCKER_TLS_VERIFY, DOCKER_CERT_PATH | where the BuildKit daemon or Docker is, for the buildkit engine |
| SLIPWAY_KEEP_STORAGE | what the cache may take: \`10GB\`, \`20%\` of its file system (the default), \`unlimited\`; see [storage.md](storage.md) |
| BUILDKIT_PROGRESS | default of \`--progress\` |
| BUILDKIT_STEP_LOG_MAX_SIZE | bytes of output shown of one step (default 2 MiB; -1: all) |
| DOCKER_CONFIG, REGISTRY_AUTH_FILE | credentials, as docker and podman keep them |
| HTTP_PROXY, HTTPS_PROXY, NO_PROXY | proxies for registries |
| NO_COLOR | no colours |
| SLIPWAY_DEBUG | a stack trace with a bug |

${COMMANDS.map((command) => `## slipway ${command.name}\n\n\`\`\`\n${help(command)}\`\`\`\n`).join('\n')}`;

if (process.argv.includes('--check')) {
  if (readFileSync(FILE, 'utf8') !== text) throw new Error('docs/cli.md is old: run node scripts/cli-docs.ts');
} else {
  writeFileSync(FILE, text);
}
