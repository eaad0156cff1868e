/**
 * ExecOp (BuildKit: solver/llbsolver/ops/exec.go): what a step needs is made ready here, in the main process; the
 * executor runs it. The new layer is in the store when this returns.
 */
import { BuildError } from '../../contracts/index.ts';
import type { ExecRequest, ExecResult, Snapshot, WorkContext } from '../../contracts/index.ts';
import { snapshotOf } from '../../image/index.ts';
import type { ExecMeta, Op, Vertex } from '../../llb/index.ts';
import type { WorkerDeps } from '../types.ts';
import { isForeign, noEmulator, requireRunnable } from '../emulation.ts';
import { prepareExecMounts, secretNotFound } from './exec-mounts.ts';
import { lastLines } from './last-lines.ts';

type ExecOp = Extract<Op, { readonly kind: 'exec' }>;

const DEFAULT_PATH = '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/** What a failed step said last, in lines, is part of its error. */
const SHOWN_LINES = 20;

/**
 * One snapshot an output, in the order of the outputs.
 * Errors: `run-failed` with the exit code and the last lines of output; `host`, `usage` (secrets that are not given),
 * `unsupported`, `cancelled`.
 */
export async function runExec(
  vertex: Vertex,
  inputs: readonly Snapshot[],
  context: WorkContext,
  deps: WorkerDeps,
): Promise<readonly Snapshot[]> {
  const { op } = vertex;
  if (op.kind !== 'exec') throw new BuildError({ code: 'internal', message: `not an exec op: ${op.kind}` });
  refuseWhatIsMissing(op, deps);
  const prepared = await prepareExecMounts(vertex, op, inputs, deps, context);
  try {
    const { root } = prepared;
    const env = environmentOf(op, deps);
    if (vertex.platform !== undefined) {
      await requireRunnable({ args: op.meta.args, env, cwd: op.meta.cwd }, vertex.platform, root.snapshot);
    }
    const upper = deps.store.newLayer();
    const keeps = root.mount.output >= 0;
    const request: ExecRequest = {
      layers: root.snapshot.layers.map((layer) => layer.id),
      upper,
      scan: keeps,
      args: op.meta.args,
      env,
      cwd: op.meta.cwd,
      user: op.meta.user,
      hostname: op.meta.hostname,
      extraHosts: op.meta.extraHosts,
      network: op.network,
      security: op.security,
      ulimits: op.meta.ulimits,
      shmSize: deps.shmSize,
      mounts: prepared.mounts,
      rootReadonly: root.mount.readonly,
      validExitCodes: op.meta.validExitCodes.length === 0 ? undefined : op.meta.validExitCodes,
    };
    const result = await execute(request, vertex, context, deps);
    const outputs = prepared.passedThrough;
    if (keeps) {
      deps.store.saveLayer(upper, { dir: true, size: result.size });
      outputs[root.mount.output] = snapshotOf([...root.snapshot.layers, deps.sources.storeLayer(upper)]);
    }
    return outputs;
  } finally {
    await prepared.release();
  }
}

function refuseWhatIsMissing(op: ExecOp, deps: WorkerDeps): void {
  const [device] = op.cdiDevices;
  if (device !== undefined) {
    throw new BuildError({
      code: 'unsupported',
      message: `the device ${device.name} cannot be given to a step`,
      hint: 'take the flag away, or build with a BuildKit daemon that has the device: --builder',
    });
  }
  if (op.security === 'insecure' && deps.allowsInsecure !== true) {
    throw new BuildError({
      code: 'unsupported',
      message: 'security.insecure is not allowed: a step would have all of this machine',
      hint: 'if you trust the Dockerfile: --allow security.insecure',
    });
  }
}

async function execute(
  request: ExecRequest,
  vertex: Vertex,
  context: WorkContext,
  deps: WorkerDeps,
): Promise<ExecResult> {
  const said = lastLines(SHOWN_LINES);
  let result: ExecResult;
  try {
    result = await deps.executor.exec(request, {
      signal: context.signal,
      onOutput(stream, data) {
        said.add(data);
        context.events({ type: 'log', vertex: vertex.digest, stream, data, timestamp: Date.now() });
      },
    });
  } catch (error) {
    // A program that could not even be started has failed as one that did: the same sentence.
    if (!(error instanceof BuildError) || error.code !== 'run-failed' || error.exitCode === undefined) throw error;
    if (isForeign(vertex.platform) && /exec format error/i.test(error.message)) throw noEmulator(vertex.platform);
    throw failure(request.args, { exitCode: error.exitCode }, [error.message], error.hint);
  }
  if ((request.validExitCodes ?? [0]).includes(result.exitCode)) return result;
  const lines = said.lines();
  const isUnknown = lines.some((line) => /^exec .*exec format error$/i.test(line));
  // The runtime's own word, where the kernel's table of emulators cannot be read.
  if (isUnknown && isForeign(vertex.platform)) throw noEmulator(vertex.platform);
  throw failure(request.args, result, lines, hintFor(result));
}

function failure(
  args: readonly string[],
  result: ExecResult,
  detail: readonly string[],
  hint: string | undefined,
): BuildError {
  return new BuildError({
    code: 'run-failed',
    message: `process ${JSON.stringify(args.join(' '))} did not complete successfully: exit code: ${result.exitCode}`,
    exitCode: result.exitCode,
    detail,
    hint,
  });
}

function hintFor({ exitCode, signal, oomKilled }: ExecResult): string | undefined {
  if (oomKilled === true) return 'the kernel killed it for lack of memory';
  if (exitCode === 127) return 'a program was not found: is it installed in this stage, and on its PATH?';
  if (exitCode === 126) return 'a file cannot be executed: check its mode (chmod +x) and its interpreter';
  if (signal === 'SIGKILL') return 'it was killed (SIGKILL), often for lack of memory';
  if (signal !== undefined) return `it ended by ${signal}`;
  return undefined;
}

function environmentOf(op: ExecOp, deps: Pick<WorkerDeps, 'secrets'>): readonly string[] {
  const env = [...op.meta.env, ...proxyEnvironment(op.meta)];
  if (!env.some((entry) => entry.startsWith('PATH='))) env.push(`PATH=${DEFAULT_PATH}`);
  for (const { id, name, optional } of op.secretEnv) {
    const value = deps.secrets?.(id);
    if (value === undefined && !optional) throw secretNotFound(id);
    env.push(`${name}=${Buffer.from(value ?? []).toString('utf8')}`);
  }
  return env;
}

/** In both spellings, as programs look for either. Not part of any key. */
function proxyEnvironment({ proxyEnv }: ExecMeta): readonly string[] {
  const names = [
    ['HTTP_PROXY', proxyEnv?.httpProxy],
    ['HTTPS_PROXY', proxyEnv?.httpsProxy],
    ['FTP_PROXY', proxyEnv?.ftpProxy],
    ['NO_PROXY', proxyEnv?.noProxy],
    ['ALL_PROXY', proxyEnv?.allProxy],
  ] as const;
  return names.flatMap(([name, value]) =>
    value === undefined || value === '' ? [] : [`${name}=${value}`, `${name.toLowerCase()}=${value}`],
  );
}
