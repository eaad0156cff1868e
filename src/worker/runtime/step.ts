/** One step from its request to its layer's tree: root, mounts, process, what it changed. */
import { chmodSync, chownSync, mkdirSync, writeFileSync } from 'node:fs';
import { isatty } from 'node:tty';
import type { ExecRequest, ExecResult } from '../../contracts/index.ts';
import { openConfined, type ConfinedRoot } from '../../sys/confined.ts';
import { MNT_DETACH, umount } from '../../sys/mount.ts';
import { removeTree } from '../../sys/remove.ts';
import { lstat } from '../../sys/stat.ts';
import { prepareMounts } from '../mounts/prepare.ts';
import type { MountContext } from '../mounts/types.ts';
import { mountView } from '../snapshot/overlay.ts';
import { saveUpperTree } from '../snapshot/save-tree.ts';
import { makeParentStubs, mountPoint, plannedStubs, removeStubs } from '../snapshot/stubs.ts';
import { viewLayers } from '../snapshot/view-layers.ts';
import { removeBundle, removeInSteps, removeWork } from './cleanup.ts';
import { hostsText, type StepEnvironment } from './environment.ts';
import { oomKills } from './oom.ts';
import { ensureWorkingDirectory, isVirtual, readInRoot, withModeOf } from './root-files.ts';
import { runContainer, type RunOptions, type StepOutput } from './run.ts';
import { captureSeccomp } from './seccomp-capture.ts';
import { ociSpec, DEFAULT_HOSTNAME, type OciMount, type SpecInput } from './spec.ts';
import { resolveUser, withHome, type RunUser } from './user.ts';

export interface StepIo extends StepOutput {
  readonly signal: AbortSignal;
  /** Our terminal, for interactive steps. */
  readonly terminal?: readonly [number, number, number] | undefined;
}

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
  const guarded = await env.guarded;
  const devices = guarded || request.security === 'insecure';
  mountView({ layers, empty: env.empty, upper, target: rootfs, devices });
  let result: ExecResult;
  try {
    const root = openConfined(rootfs);
    try {
      const context = mountContext(env, io, bundle, scratch, devices);
      result = await withMounts(env, request, io, { bundle, rootfs, root, context, guarded });
    } finally {
      root.close();
    }
  } finally {
    umount(rootfs, MNT_DETACH);
  }
  if (request.scan !== false && accepts(request, result)) {
    const treePath = env.layout.treePath(request.upper);
    const size = await saveUpperTree({ upper: upper.directory, lower: layers, treePath });
    // Nobody waits for it.
    env.later(() => {
      removeWork(upper.work);
      removeTree(`${layerRoot}/scratch`);
    });
    return { ...result, size };
  }
  return result;
}

function accepts(request: ExecRequest, result: ExecResult): boolean {
  return (request.validExitCodes ?? [0]).includes(result.exitCode);
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
  readonly guarded: boolean;
}

async function withMounts(
  env: StepEnvironment,
  request: ExecRequest,
  io: StepIo,
  { bundle, rootfs, root, context, guarded }: MountedRoot,
): Promise<ExecResult> {
  const files = {
    passwd: () => readInRoot(root, 'etc/passwd'),
    group: () => readInRoot(root, 'etc/group'),
  };
  const user = resolveUser(request.user, files);
  const variables = withHome(request.env, user.uid, files);
  const own = await prepareMounts(request.mounts, context);
  try {
    // As BuildKit: a step's mounts come after these two, and may hide them; parents before what is in them.
    const mounts = [...networkFiles(env, request, bundle), ...parentsFirst(own.mounts)].map((mount) =>
      withModeOf(rootfs, { ...mount, destination: mountPoint(rootfs, mount.destination) }),
    );
    // /proc, /sys and /dev stay where there were none, as with BuildKit.
    const stubs = plannedStubs(
      rootfs,
      mounts.map((mount) => mount.destination).filter((destination) => !isVirtual(destination)),
    );
    makeParentStubs(root, stubs);
    if (request.rootReadonly !== true) ensureWorkingDirectory(root, rootfs, request.cwd, user);
    const seccomp = request.security === 'insecure' ? undefined : env.seccomp();
    writeSpec(
      env,
      { ...request, env: variables },
      { bundle, rootfs, mounts, user, seccomp, terminal: hasTerminal(io), guarded },
    );
    const kills = oomKills();
    const wayOut = guarded && request.security === 'insecure' ? env.wayOut() : undefined;
    const result = await runInRuntime(env, bundle, { ...io, wayOut }, seccomp);
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
  io: StepIo & Pick<RunOptions, 'wayOut'>,
  seccomp: SpecInput['seccomp'],
): Promise<ExecResult> {
  const runtime = env.runtime();
  const stateRoot = `${env.directory}/runtime`;
  const id = bundle.slice(bundle.lastIndexOf('/') + 1);
  const uncompiled = runtime.name === 'crun' && seccomp !== undefined && 'profile' in seccomp;
  const captured = uncompiled ? captureSeccomp(`${stateRoot}/${id}/seccomp.bpf`) : undefined;
  const onStarted = (pid: number): void => {
    captured?.started(pid);
    env.finish();
  };
  try {
    return await runContainer({ ...io, runtime, stateRoot, bundle, id, onStarted });
  } finally {
    const compiled = captured?.take();
    if (compiled !== undefined) env.later(() => env.keepSeccomp(compiled));
  }
}

function mountContext(
  env: StepEnvironment,
  { signal, onOutput }: StepIo,
  bundle: string,
  scratch: MountContext['scratch'],
  devices: boolean,
): MountContext {
  return {
    layout: env.layout,
    empty: env.empty,
    devices,
    signal,
    tell: (line) => void onOutput(2, Buffer.from(`${line}\n`)),
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
    readonly guarded: boolean;
  },
): void {
  const spec = ociSpec({
    request,
    user: step.user,
    rootfs: step.rootfs,
    mounts: step.mounts,
    terminal: step.terminal,
    seccomp: step.seccomp,
    guarded: step.guarded,
    nodevHook: step.guarded ? undefined : env.mountProgram(),
    hardLimits: env.hardLimits(),
    allCapabilities: request.security === 'insecure' ? env.allCapabilities() : [],
  });
  writeFileSync(`${step.bundle}/config.json`, JSON.stringify(spec), { mode: 0o600 });
}
