/** One step from its request to its layer's tree: root, mounts, process, what it changed. */
import {
  chmodSync,
  chownSync,
  closeSync,
  constants,
  mkdirSync,
  readFileSync,
  readdirSync,
  rmSync,
  rmdirSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs';
import { isatty } from 'node:tty';
import { setImmediate } from 'node:timers/promises';
import { BuildError, type ExecRequest, type ExecResult } from '../../contracts/index.ts';
import { openConfined, type ConfinedRoot } from '../../sys/confined.ts';
import { errnoOf } from '../../sys/errno.ts';
import { O_PATH } from '../../sys/libc.ts';
import { MNT_DETACH, umount } from '../../sys/mount.ts';
import { removeTreeSteps } from '../../sys/remove.ts';
import { lstat } from '../../sys/stat.ts';
import { prepareMounts } from '../mounts/prepare.ts';
import type { MountContext } from '../mounts/types.ts';
import { mountView } from '../snapshot/overlay.ts';
import { resolveInRoot } from '../snapshot/root-path.ts';
import { saveUpperTree } from '../snapshot/save-tree.ts';
import { viewLayers } from '../snapshot/view-layers.ts';
import { plannedStubs, removeStubs } from '../snapshot/stubs.ts';
import { hostsText, type StepEnvironment } from './environment.ts';
import { oomKills } from './oom.ts';
import { runContainer, type StepOutput } from './run.ts';
import { captureSeccomp } from './seccomp-capture.ts';
import { ociSpec, DEFAULT_HOSTNAME, type OciMount, type SpecInput } from './spec.ts';
import { resolveUser, type RunUser } from './user.ts';

export interface StepIo extends StepOutput {
  readonly signal: AbortSignal;
  /** Our terminal, for interactive steps. */
  readonly terminal?: readonly [number, number, number] | undefined;
}

/** Mount points below these are on file systems of the runtime's, never in the root. */
const VIRTUAL = ['/proc', '/sys', '/dev'];

/**
 * Runs a step. When it ends as the request accepts, the tree of its writes is in the store (unless `scan` is false);
 * otherwise nothing of it is left.
 */
export async function runStep(env: StepEnvironment, request: ExecRequest, io: StepIo): Promise<ExecResult> {
  const step = env.nextStep();
  const bundle = `${env.directory}/${step}`;
  const layerRoot = env.layout.layerRoot(request.upper);
  let kept = false;
  try {
    mkdirSync(bundle, 0o711);
    const result = await inRoot(env, request, io, bundle, layerRoot);
    kept = request.scan !== false && accepts(request, result);
    return result;
  } finally {
    removeBundle(bundle);
    if (!kept) await removeInSteps(layerRoot);
  }
}

async function inRoot(
  env: StepEnvironment,
  request: ExecRequest,
  io: StepIo,
  bundle: string,
  layerRoot: string,
): Promise<ExecResult> {
  const rootfs = `${bundle}/rootfs`;
  const scratch = scratchIn(layerRoot);
  const layers = viewLayers(request.layers, env, () => scratch('implicit'));
  const upper = { directory: env.layout.layerDir(request.upper), work: env.layout.layerWorkDir(request.upper) };
  makeUpper(upper, layers.at(-1));
  mkdirSync(rootfs, 0o700);
  const devices = env.guarded || request.security === 'insecure';
  mountView({ layers, empty: env.empty, upper, target: rootfs, devices });
  let result: ExecResult;
  try {
    const root = openConfined(rootfs);
    try {
      const context = mountContext(env, io.signal, bundle, scratch, devices);
      result = await withMounts(env, request, io, { bundle, rootfs, root, context });
    } finally {
      root.close();
    }
  } finally {
    umount(rootfs, MNT_DETACH);
  }
  removeWork(upper.work);
  if (request.scan !== false && accepts(request, result)) {
    const treePath = env.layout.treePath(request.upper);
    const size = await saveUpperTree({ upper: upper.directory, lower: layers, treePath });
    await removeInSteps(`${layerRoot}/scratch`);
    return { ...result, size };
  }
  return result;
}

function accepts(request: ExecRequest, result: ExecResult): boolean {
  return (request.validExitCodes ?? [0]).includes(result.exitCode);
}

/** Other steps go on while much is removed. */
async function removeInSteps(path: string): Promise<void> {
  const steps = removeTreeSteps(path);
  while (steps.next().done !== true) await setImmediate();
}

/**
 * Removes a step's directory without ever entering one: if something should still be mounted in it, that stays as it is.
 */
function removeBundle(bundle: string): void {
  for (const entry of readdirSync(bundle, { withFileTypes: true })) {
    try {
      if (entry.isDirectory()) rmdirSync(`${bundle}/${entry.name}`);
      else unlinkSync(`${bundle}/${entry.name}`);
    } catch {
      // On the executor's tmpfs: it goes with it.
    }
  }
  try {
    rmdirSync(bundle);
  } catch {
    // As above.
  }
}

function scratchIn(layerRoot: string): (name: string) => string {
  return (name) => {
    const path = `${layerRoot}/scratch/${name}`;
    mkdirSync(path, { recursive: true, mode: 0o700 });
    return path;
  };
}

interface MountedRoot {
  readonly bundle: string;
  readonly rootfs: string;
  readonly root: ConfinedRoot;
  readonly context: MountContext;
}

async function withMounts(
  env: StepEnvironment,
  request: ExecRequest,
  io: StepIo,
  { bundle, rootfs, root, context }: MountedRoot,
): Promise<ExecResult> {
  const user = resolveUser(request.user, {
    passwd: () => readInRoot(root, 'etc/passwd'),
    group: () => readInRoot(root, 'etc/group'),
  });
  const own = await prepareMounts(request.mounts, context);
  try {
    // As BuildKit: a step's mounts come after these two, and may hide them; parents before what is in them.
    const mounts = [...networkFiles(env, request, bundle), ...parentsFirst(own.mounts)];
    const stubs = plannedStubs(rootfs, [
      ...mounts.map((mount) => mount.destination).filter((destination) => !isVirtual(destination)),
      ...VIRTUAL,
    ]);
    if (request.rootReadonly !== true) ensureWorkingDirectory(root, rootfs, request.cwd, user);
    const seccomp = request.security === 'insecure' ? undefined : env.seccomp();
    writeSpec(env, request, { bundle, rootfs, mounts, user, seccomp, terminal: hasTerminal(io) });
    const kills = oomKills();
    const result = await runInRuntime(env, bundle, io, seccomp);
    root.forget();
    removeStubs(root, stubs);
    const oomKilled = result.signal === 'SIGKILL' && oomKills() > kills;
    return oomKilled ? { ...result, oomKilled } : result;
  } finally {
    await own.release();
  }
}

/** Descriptors that are handed over but lead to a file or pipe are handed over just so. */
function hasTerminal({ terminal }: StepIo): boolean {
  return terminal !== undefined && isatty(terminal[0]);
}

async function runInRuntime(
  env: StepEnvironment,
  bundle: string,
  io: StepIo,
  seccomp: SpecInput['seccomp'],
): Promise<ExecResult> {
  const runtime = env.runtime();
  const stateRoot = `${env.directory}/runtime`;
  const id = bundle.slice(bundle.lastIndexOf('/') + 1);
  const uncompiled = runtime.name === 'crun' && seccomp !== undefined && 'profile' in seccomp;
  const captured = uncompiled ? captureSeccomp(`${stateRoot}/${id}/seccomp.bpf`) : undefined;
  try {
    return await runContainer({ ...io, runtime, stateRoot, bundle, id, env: process.env });
  } finally {
    const program = captured?.();
    if (program !== undefined) env.keepSeccomp(program);
  }
}

function mountContext(
  env: StepEnvironment,
  signal: AbortSignal,
  bundle: string,
  scratch: MountContext['scratch'],
  devices: boolean,
): MountContext {
  return {
    layout: env.layout,
    empty: env.empty,
    devices,
    signal,
    place: (name) => `${bundle}/${name}`,
    scratch,
    directoriesOf: (ids, name) => viewLayers(ids, env, () => scratch(`${name}-implicit`)),
  };
}

/** The merged root is as its top directory is: the new one takes mode and owner from the layer below. */
function makeUpper(upper: { readonly directory: string; readonly work: string }, below: string | undefined): void {
  mkdirSync(upper.directory, { recursive: true, mode: 0o755 });
  mkdirSync(upper.work, { recursive: true, mode: 0o700 });
  const stat = below === undefined ? undefined : lstat(below);
  chmodSync(upper.directory, stat?.mode ?? 0o755);
  if (stat !== undefined && (stat.uid !== 0 || stat.gid !== 0)) chownSync(upper.directory, stat.uid, stat.gid);
}

/** What overlayfs leaves in its work directory: `work`, and the mark of a volatile mount. */
function removeWork(work: string): void {
  try {
    for (const path of ['/work/incompat/volatile', '/work/incompat', '/work', '']) rmdirSync(`${work}${path}`);
  } catch {
    rmSync(work, { recursive: true, force: true });
  }
}

function networkFiles(env: StepEnvironment, request: ExecRequest, bundle: string): readonly OciMount[] {
  const hostname = request.hostname ?? '';
  const extra = request.extraHosts ?? [];
  let hosts = env.hostsFile();
  if (extra.length > 0 || (hostname !== '' && hostname !== DEFAULT_HOSTNAME)) {
    hosts = `${bundle}/hosts`;
    writeFileSync(hosts, hostsText(hostname === '' ? DEFAULT_HOSTNAME : hostname, extra), { mode: 0o644 });
  }
  const options = ['nosuid', 'noexec', 'nodev', 'rbind', 'ro'];
  return [
    { destination: '/etc/resolv.conf', type: 'bind', source: env.resolvConf(), options },
    { destination: '/etc/hosts', type: 'bind', source: hosts, options },
  ];
}

function parentsFirst(mounts: readonly OciMount[]): readonly OciMount[] {
  return mounts.toSorted((a, b) => (a.destination < b.destination ? -1 : a.destination > b.destination ? 1 : 0));
}

function isVirtual(destination: string): boolean {
  return VIRTUAL.some((path) => destination === path || destination.startsWith(`${path}/`));
}

/**
 * As BuildKit: a working directory that is not there is made, owned by the user. Not below /proc and its like, which the
 * step does not see in the root.
 * Errors: `run-failed` when it is no directory.
 */
function ensureWorkingDirectory(root: ConfinedRoot, rootfs: string, cwd: string, user: RunUser): void {
  if (cwd === '' || cwd === '/' || isVirtual(cwd)) return;
  try {
    closeSync(root.openInRoot(cwd, O_PATH | constants.O_DIRECTORY));
    return;
  } catch (error) {
    const errno = errnoOf(error);
    if (errno === 'ENOTDIR') {
      throw new BuildError({
        code: 'run-failed',
        message: `the working directory ${cwd} is not a directory`,
        hint: 'see the WORKDIR instruction that is in force here',
        cause: error,
      });
    }
    if (errno !== 'ENOENT') throw error;
  }
  const { path, existing } = resolveInRoot(rootfs, cwd);
  const names = path.split('/');
  for (let length = existing + 1; length <= names.length; length++) {
    const directory = names.slice(0, length).join('/');
    root.mkdir(directory, 0o755);
    root.chown(directory, user.uid, user.gid);
  }
}

function readInRoot(root: ConfinedRoot, path: string): string | undefined {
  let fd: number;
  try {
    fd = root.openInRoot(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch {
    return undefined;
  }
  try {
    return readFileSync(fd, 'utf8');
  } catch {
    return undefined;
  } finally {
    closeSync(fd);
  }
}

function writeSpec(
  env: StepEnvironment,
  request: ExecRequest,
  step: {
    readonly bundle: string;
    readonly rootfs: string;
    readonly mounts: readonly OciMount[];
    readonly user: RunUser;
    readonly seccomp: SpecInput['seccomp'];
    readonly terminal: boolean;
  },
): void {
  const spec = ociSpec({
    request,
    user: step.user,
    rootfs: step.rootfs,
    mounts: step.mounts,
    terminal: step.terminal,
    seccomp: step.seccomp,
    guarded: env.guarded,
    nodevHook: env.nodevHook(),
    hardLimits: env.hardLimits(),
    allCapabilities: request.security === 'insecure' ? env.allCapabilities() : [],
  });
  writeFileSync(`${step.bundle}/config.json`, JSON.stringify(spec), { mode: 0o600 });
}
