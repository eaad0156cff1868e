import {
  build,
  BuildError,
  createProgress,
  isProgressMode,
  parseSquash,
  PROGRESS_MODES,
  type BuildOptions,
  type Explanation,
  type VerifiedStep,
  type VerifySample,
} from '../index.ts';
import { usage, type Command, type Flag, type Io, type Parsed } from './command.ts';
import { DOCKER_FLAGS, ignoredFlags } from './docker-flags.ts';
import { buildArgs, pairs } from './pairs.ts';

export const BUILD_FLAGS: readonly Flag[] = [
  {
    name: 'annotation',
    value: '[TARGET:]KEY=VALUE',
    multiple: true,
    help: 'Annotation of the manifest, or of TARGET: index, manifest[OS/ARCH], manifest-descriptor, index-descriptor',
  },
  {
    name: 'attest',
    value: 'type=sbom|provenance[,...]',
    multiple: true,
    help: 'What to say of the image beside it (docs/attestations.md)',
  },
  {
    name: 'add-host',
    value: 'HOST:IP',
    multiple: true,
    help: 'Extra line for /etc/hosts in RUN steps; host-gateway as IP is this machine',
  },
  {
    name: 'allow',
    value: 'ENTITLEMENT',
    multiple: true,
    help: 'What RUN may ask for: network.host, security.insecure (all capabilities)',
  },
  {
    name: 'build-arg',
    value: 'NAME[=VALUE]',
    multiple: true,
    help: 'Value of an ARG; without =VALUE from the environment. SOURCE_DATE_EPOCH of the environment is one',
  },
  {
    name: 'build-context',
    value: 'NAME=VALUE',
    multiple: true,
    help: 'Named context: a directory, oci-layout://PATH, docker-image://REF, a git or http URL',
  },
  {
    name: 'cache-from',
    value: 'SPEC',
    multiple: true,
    help: 'Use results of other machines: type=registry,ref=REF; type=local,src=DIR; or REF alone',
  },
  {
    name: 'cache-mount-from',
    value: 'SPEC',
    multiple: true,
    help: 'Fill RUN --mount=type=cache from other machines: type=registry,ref=REF or type=local,src=DIR[,scope=S][,id=ID]',
  },
  {
    name: 'cache-mount-to',
    value: 'SPEC',
    multiple: true,
    help: 'Give cache mounts to others: type=registry,ref=REF or type=local,dest=DIR[,scope=S][,id=ID][,max-size=N]',
  },
  {
    name: 'cache-to',
    value: 'SPEC',
    multiple: true,
    help: 'Give results to others: type=registry,ref=REF[,mode=max]; type=local,dest=DIR; type=inline',
  },
  { name: 'builder', value: 'NAME|URL', help: 'BuildKit daemon to build on (slipway builder ls), or embedded' },
  {
    name: 'call',
    value: 'METHOD[,format=json]',
    help: 'Instead of building: check, outline (arguments, secrets, caches) or targets',
  },
  { name: 'cgroup-parent', value: 'CGROUP', help: 'Cgroup of RUN steps on a BuildKit daemon' },
  { name: 'check', help: 'Short for --call=check' },
  {
    name: 'exact-layers',
    help: "Layers exactly as BuildKit's: files copied again count again when only their time differs",
  },
  { name: 'explain', help: 'At the end, say why each step ran that did' },
  {
    name: 'file',
    short: 'f',
    value: 'PATH',
    help: 'Dockerfile (default: CONTEXT/Dockerfile); an http URL; - reads it from standard input',
  },
  { name: 'frozen', help: 'Read only images, URLs and git refs that slipway.lock pins, as it pins them' },
  { name: 'iidfile', value: 'FILE', help: 'Write the image ID to FILE' },
  { name: 'jobs', value: 'N', help: 'Run at most N RUN steps at once (default: no bound)' },
  { name: 'label', value: 'NAME=VALUE', multiple: true, help: 'Label of the image' },
  { name: 'metadata-file', value: 'FILE', help: 'Write what was built to FILE, as JSON' },
  { name: 'load', help: 'Short for -o type=docker: into Docker or Podman, too' },
  {
    name: 'mirror',
    value: 'REGISTRY=HOST[,HOST]',
    multiple: true,
    help: 'Ask HOST before REGISTRY, as docker.io=localhost:5000',
  },
  { name: 'network', value: 'MODE', help: 'Network of RUN steps: default, host or none' },
  { name: 'no-cache', help: 'Run every step anew' },
  { name: 'no-cache-filter', value: 'STAGE[,STAGE]', multiple: true, help: 'Run every step of these stages anew' },
  {
    name: 'offline',
    help: 'Ask no registry, web or git server; what the store lacks is an error. RUN steps are as ever',
  },
  {
    name: 'output',
    short: 'o',
    value: 'SPEC',
    multiple: true,
    help: 'Destination: type=oci|docker|local|tar|image,dest=...; a path; - for a tar on standard output',
  },
  {
    name: 'platform',
    value: 'OS/ARCH[,OS/ARCH]',
    multiple: true,
    help: 'Platforms of the image (default: this machine); several make an index',
  },
  { name: 'print', value: 'llb|json', help: 'Print the build graph instead of building' },
  { name: 'progress', value: 'MODE', help: `${PROGRESS_MODES.join(', ')} (default: auto)` },
  {
    name: 'provenance',
    value: 'mode=min|max',
    optional: true,
    help: 'Say beside the image from what it was built, and how (default mode: max)',
  },
  { name: 'pull', help: 'Ask the registry for newer base images' },
  { name: 'push', help: 'Short for -o type=image,push=true' },
  { name: 'quiet', short: 'q', help: 'Print only the image ID' },
  { name: 'sbom', value: 'true|false', optional: true, help: 'Say beside the image which packages are in it' },
  { name: 'secret', value: 'id=ID[,src=FILE|,env=NAME]', multiple: true, help: 'Secret for RUN --mount=type=secret' },
  { name: 'shm-size', value: 'SIZE', help: 'Size of /dev/shm in RUN steps, as 128m' },
  {
    name: 'squash',
    value: 'new|all',
    optional: true,
    help: 'One layer of what this build adds (new, the default), or with those of the base image (all)',
  },
  { name: 'ssh', value: 'ID[=SOCKET]', multiple: true, help: 'SSH agent for RUN --mount=type=ssh' },
  { name: 'stage-sizes', help: 'On a BuildKit daemon: ask it what every stage weighs' },
  { name: 'tag', short: 't', value: 'NAME', multiple: true, help: 'Name of the image in the local store' },
  { name: 'target', value: 'STAGE', help: 'Build this stage (default: the last)' },
  { name: 'ulimit', value: 'NAME=SOFT[:HARD]', multiple: true, help: 'Limit of RUN steps' },
  {
    name: 'verify-cache',
    value: 'N|all',
    optional: true,
    help: 'Run N cached steps again (default: one in ten) and compare the results; exit code 1 for a wrong hit',
  },
];

export const buildCommand: Command = {
  name: 'build',
  usage: '[OPTIONS] CONTEXT',
  summary:
    'Builds an image from a Dockerfile. CONTEXT is a directory, a git URL (#REF:DIRECTORY), the http URL of a tar or Dockerfile, or - for either on standard input.',
  flags: [...BUILD_FLAGS, ...DOCKER_FLAGS],
  async run(parsed, io) {
    const [context, ...more] = parsed.positionals;
    if (context === undefined) throw usage(buildCommand, 'build needs a context, as in: slipway build .');
    if (more.length > 0) throw usage(buildCommand, `build takes one context; what about "${more[0] ?? ''}"?`);
    const call = parsed.on('check') ? 'check' : (parsed.text('call') ?? 'build');
    if (call !== 'build') return await (await import('./check.ts')).callCommand(buildCommand, call, parsed, io);
    const printed = parsed.text('print');
    if (printed !== undefined && printed !== 'llb' && printed !== 'json')
      throw usage(buildCommand, `--print takes llb or json, not "${printed}"`);

    const progress = createProgress(progressMode(parsed, io), io.stderr);
    const raw = parsed.text('progress') === 'rawjson';
    const explained = parsed.on('explain') ? await explainer(io, raw) : undefined;
    for (const note of ignoredFlags(parsed)) progress.sink({ type: 'warning', ...note });
    try {
      const result = await build({
        ...optionsOf(parsed, io, context),
        onEvent: progress.sink,
        print: printed,
        explain: explained?.take,
        verifyCache:
          parsed.text('verify-cache') === undefined ? undefined : sampleOf(parsed.text('verify-cache') ?? ''),
      });
      progress.close();
      explained?.print();
      if (result.printed !== undefined) await write(io.stdout, result.printed);
      if (parsed.on('quiet') && result.image !== undefined)
        io.stdout.write(`${result.image.configDigest ?? result.image.digest}\n`);
      return result.verified === undefined ? 0 : await sayVerified(result.verified, io, raw);
    } catch (error) {
      progress.close();
      explained?.print();
      throw error;
    }
  },
};

/** Keeps the explanations until progress has had its last word. */
async function explainer(io: Io, raw: boolean) {
  const { explanationLines } = await import('./explain.ts');
  let text = '';
  return {
    take: (explanations: readonly Explanation[]) => {
      text = raw ? `${JSON.stringify({ explanations })}\n` : `\n${explanationLines(explanations, false)}`;
    },
    print: () => io.stderr.write(text),
  };
}

/** @returns The exit code: a wrong hit fails. */
async function sayVerified(verified: readonly VerifiedStep[], io: Io, raw: boolean): Promise<number> {
  const { verifiedText } = await import('./verify.ts');
  io.stderr.write(raw ? `${JSON.stringify({ verified })}\n` : `\n${verifiedText(verified)}`);
  return verified.some(({ verdict }) => verdict === 'wrong-key') ? 1 : 0;
}

function sampleOf(word: string): VerifySample {
  if (word === '') return 'some';
  if (word === 'all') return 'all';
  if (/^[1-9]\d*$/.test(word)) return Number(word);
  throw usage(buildCommand, `--verify-cache takes a number from 1, or all, not "${word}"`);
}

function progressMode(parsed: Parsed, io: Io) {
  if (parsed.on('quiet') || parsed.text('print') !== undefined) return 'quiet';
  const mode = parsed.text('progress') ?? io.env['BUILDKIT_PROGRESS'] ?? 'auto';
  if (!isProgressMode(mode)) throw usage(buildCommand, `--progress takes ${PROGRESS_MODES.join(', ')}, not "${mode}"`);
  return mode;
}

/** The options that the flags of build stand for; other commands that work on a build take the same. */
export function optionsOf(parsed: Parsed, io: Io, context: string): BuildOptions {
  return {
    context,
    dockerfile: parsed.text('file'),
    target: parsed.text('target'),
    tags: parsed.list('tag'),
    outputs: [
      ...parsed.list('output'),
      ...(parsed.on('push') ? ['type=image,push=true'] : []),
      ...(parsed.on('load') ? ['type=docker'] : []),
    ],
    annotations: parsed.list('annotation'),
    builder: parsed.text('builder'),
    buildArgs: buildArgs(buildCommand, parsed.list('build-arg'), io.env),
    buildContexts: pairs(buildCommand, 'build-context', parsed.list('build-context')),
    labels: pairs(buildCommand, 'label', parsed.list('label'), ''),
    noCache: parsed.on('no-cache') || commaList(parsed.list('no-cache-filter')),
    pull: parsed.on('pull'),
    offline: parsed.on('offline'),
    stageSizes: parsed.on('stage-sizes'),
    squash: parseSquash(parsed.text('squash')),
    exactLayers: parsed.on('exact-layers'),
    cacheFrom: parsed.list('cache-from'),
    cacheTo: parsed.list('cache-to'),
    cacheMountFrom: parsed.list('cache-mount-from'),
    cacheMountTo: parsed.list('cache-mount-to'),
    frozen: parsed.on('frozen'),
    attest: parsed.list('attest'),
    provenance: parsed.text('provenance'),
    sbom: parsed.text('sbom'),
    platform: parsed.list('platform'),
    network: networkMode(parsed.text('network')),
    allow: parsed.list('allow'),
    cgroupParent: parsed.text('cgroup-parent'),
    extraHosts: parsed.list('add-host').map(extraHost),
    shmSize: parsed.text('shm-size') === undefined ? undefined : bytes('shm-size', parsed.text('shm-size') ?? ''),
    ulimits: parsed.list('ulimit').map(ulimit),
    secrets: parsed.list('secret'),
    ssh: parsed.list('ssh'),
    mirrors: parsed.list('mirror'),
    maxParallelRuns: parsed.text('jobs') === undefined ? undefined : count('jobs', parsed.text('jobs') ?? ''),
    iidFile: parsed.text('iidfile'),
    metadataFile: parsed.text('metadata-file'),
    stdin: io.stdin,
    stdout: io.stdout,
    env: io.env,
    cwd: io.cwd,
    signal: io.signal,
  };
}

function commaList(words: readonly string[]): readonly string[] {
  return words.flatMap((word) => word.split(',')).filter((word) => word !== '');
}

function networkMode(word: string | undefined): 'sandbox' | 'host' | 'none' {
  if (word === undefined || word === 'default' || word === 'sandbox') return 'sandbox';
  if (word === 'host' || word === 'none') return word;
  throw usage(buildCommand, `--network takes default, host or none, not "${word}"`);
}

/** IPv4, or something like IPv6. */
const ADDRESS = /^(?:\d{1,3}(?:\.\d{1,3}){3}|[\da-f:.]*:[\da-f:.]*)$/i;

function extraHost(word: string): { readonly host: string; readonly ip: string } {
  const at = word.search(/[=:]/);
  const written = word.slice(at + 1).replace(/^\[(.*)\]$/, '$1');
  // Steps share the network of this machine: what listens here is at its own address.
  const ip = written === 'host-gateway' ? '127.0.0.1' : written;
  if (at <= 0 || !ADDRESS.test(ip)) throw usage(buildCommand, `--add-host takes HOST:IP, not "${word}"`);
  return { host: word.slice(0, at), ip };
}

/** Of setrlimit(2). */
const ULIMITS: readonly string[] =
  'core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack'.split(' ');

function ulimit(word: string): { readonly name: string; readonly soft: number; readonly hard: number } {
  const match = /^([a-z]+)=(-?\d+)(?::(-?\d+))?$/.exec(word);
  if (match === null) throw usage(buildCommand, `--ulimit takes NAME=SOFT[:HARD], not "${word}"`);
  if (!ULIMITS.includes(match[1] ?? '')) {
    throw usage(buildCommand, `--ulimit ${word}: limits are ${ULIMITS.join(', ')}`);
  }
  const soft = Number(match[2]);
  const hard = match[3] === undefined ? soft : Number(match[3]);
  if (hard !== -1 && (soft === -1 || soft > hard)) {
    throw usage(buildCommand, `--ulimit ${word}: the soft limit is above the hard one`);
  }
  return { name: match[1] ?? '', soft, hard };
}

function bytes(flag: string, word: string): number {
  const match = /^(\d+)([bkmg]?)b?$/i.exec(word);
  if (match === null) throw usage(buildCommand, `--${flag} takes a size as 64m, not "${word}"`);
  return (
    Number(match[1]) *
    { '': 1, b: 1, k: 1 << 10, m: 1 << 20, g: 1 << 30 }[(match[2] ?? '').toLowerCase() as '' | 'b' | 'k' | 'm' | 'g']
  );
}

function count(flag: string, word: string): number {
  if (!/^[1-9]\d*$/.test(word)) throw usage(buildCommand, `--${flag} takes a number from 1, not "${word}"`);
  return Number(word);
}

async function write(stream: NodeJS.WriteStream, data: string | Uint8Array): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    stream.write(data, (error) =>
      error ? reject(new BuildError({ code: 'export', message: error.message })) : resolve(),
    );
  });
}
