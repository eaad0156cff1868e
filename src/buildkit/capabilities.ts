/**
 * What a daemon can do, by its own word (`LLBBridge.Ping`): versions tell too little, as distributions and Docker carry
 * BuildKits of their own. What it lacks and can be said otherwise is said otherwise; what cannot is an error that names
 * the instruction.
 */
import { BuildError } from '../contracts/index.ts';
import type { Digest, MovedStage } from '../contracts/index.ts';
import { capabilities, rewrite } from '../llb/index.ts';
import type { Definition, FileAction, Op, Replacement, Rewritten, Vertex, VertexInput } from '../llb/index.ts';
import { copyFiles } from './copy-files.ts';
import type { PbPongResponse } from './gen/gateway.ts';

export interface DaemonCapabilities {
  /** LLB: `exec.meta.base`, ... */
  readonly llb: ReadonlySet<string>;
  /** The gateway's: `returnmap`, ... */
  readonly gateway: ReadonlySet<string>;
}

export function readCapabilities(pong: PbPongResponse): DaemonCapabilities {
  const enabled = (list: PbPongResponse['LLBCaps'] = []): ReadonlySet<string> =>
    new Set(list.filter((cap) => cap.Enabled === true).map((cap) => cap.ID ?? ''));
  return { llb: enabled(pong.LLBCaps), gateway: enabled(pong.FrontendAPICaps) };
}

export interface AdaptOptions {
  readonly capabilities: DaemonCapabilities;
  /** Which daemon, for errors. */
  readonly where: string;
  /** The session whose files local sources read: without it, equal sources of two builds would be one to the daemon. */
  readonly sessionId: string;
  /** The id under which the session serves the layout in this directory. */
  readonly layoutStore: (path: string) => string;
  /** What another daemon has made, by the vertex that it stands for. */
  readonly moved?: ReadonlyMap<Digest, MovedStage> | undefined;
}

/** What a program finds when nobody says otherwise; daemons set it themselves since BuildKit 0.8. */
const DEFAULT_PATH = 'PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin';
/**
 * What daemons understand without saying so: no BuildKit lists the first before it lists the second, though it came
 * before that (symbolic modes with 0.17, links with 0.19).
 */
const IMPLIED: Readonly<Record<string, string>> = { 'file.copy.modestring': 'file.symlink.create' };
/** More in the headers of one request some servers do not take; then everything is offered instead. Bytes. */
const FOLLOW_PATHS_MAX = 32 << 10;

/**
 * The graph as this daemon can solve it.
 *
 * @throws BuildError `builder` at the instruction that it cannot carry out
 */
export function adapt(graph: Definition, options: AdaptOptions): Rewritten {
  const rewritten = rewrite(graph, (vertex, inputs) => change(vertex, inputs, options));
  for (const vertex of rewritten.definition.vertices) requireAll(vertex, options);
  return rewritten;
}

function requireAll(vertex: Vertex, { capabilities: { llb }, where }: AdaptOptions): void {
  const missing = capabilities(vertex).filter((id) => !llb.has(id) && !llb.has(IMPLIED[id] ?? id));
  if (missing.length === 0) return;
  throw new BuildError({
    code: 'builder',
    message: `${where} is too old for this build: it lacks ${missing.join(', ')}`,
    hint: 'use a newer BuildKit (slipway builder ls), or the embedded engine (SLIPWAY_ENGINE=embedded)',
    location: vertex.metadata.location,
  });
}

function change(vertex: Vertex, inputs: readonly VertexInput[], options: AdaptOptions): Replacement | undefined {
  const { op } = vertex;
  const moved = options.moved?.get(vertex.digest);
  if (moved !== undefined) return fromLayout(vertex, moved, options);
  switch (op.kind) {
    case 'source':
      return { op: { ...op, attrs: sourceAttrs(op, options) }, inputs };
    case 'exec':
      return { op: adaptExec(op, options.capabilities.llb), inputs };
    case 'file':
      return {
        op: { ...op, actions: op.actions.map((action) => adaptAction(action, options.capabilities.llb)) },
        inputs,
      };
    case 'merge':
      return options.capabilities.llb.has('mergeop') ? undefined : mergeByCopy(inputs);
    default:
      return undefined;
  }
}

/** In place of a stage, what another daemon made of it. */
function fromLayout(vertex: Vertex, { layout, digest, name }: MovedStage, options: AdaptOptions): Replacement {
  const attrs = { 'oci.store': options.layoutStore(layout), 'oci.session': options.sessionId };
  return {
    op: { kind: 'source', identifier: `oci-layout://slipway/stage@${digest}`, attrs },
    inputs: [],
    metadata: { name, location: vertex.metadata.location },
  };
}

/** Attributes that only save work go where they are not known; which session is meant is added. */
function sourceAttrs(op: Extract<Op, { kind: 'source' }>, options: AdaptOptions): Readonly<Record<string, string>> {
  const { llb } = options.capabilities;
  const attrs = new Map(Object.entries(op.attrs));
  if (op.identifier.startsWith('local://')) {
    if (llb.has('source.local.sessionid')) attrs.set('local.session', options.sessionId);
    if ((attrs.get('local.followpaths')?.length ?? 0) > FOLLOW_PATHS_MAX) attrs.delete('local.followpaths');
    for (const [name, capability] of [
      ['local.followpaths', 'source.local.followpaths'],
      ['local.sharedkeyhint', 'source.local.sharedkeyhint'],
    ] as const) {
      if (!llb.has(capability)) attrs.delete(name);
    }
  }
  // Fetching less of a repository only saves time.
  if (!llb.has('source.git.fetchbycommit')) attrs.delete('git.fetchbycommit');
  if (op.identifier.startsWith('oci-layout://')) {
    const path = attrs.get('oci.store');
    if (path !== undefined) attrs.set('oci.store', options.layoutStore(path));
    attrs.set('oci.session', options.sessionId);
  }
  return Object.fromEntries(attrs);
}

function adaptExec(op: Extract<Op, { kind: 'exec' }>, llb: ReadonlySet<string>): Op {
  const hasPath = op.meta.env.some((variable) => variable.startsWith('PATH='));
  return {
    ...op,
    meta: {
      ...op.meta,
      env: hasPath || llb.has('exec.meta.setsdefaultpath') ? op.meta.env : [...op.meta.env, DEFAULT_PATH],
    },
    mounts: op.mounts.map((mount) =>
      mount.contentCache === undefined || llb.has('exec.mount.cache.content')
        ? mount
        : { ...mount, contentCache: undefined },
    ),
  };
}

/** Old daemons neither know nor need these: what they ask to be checked shows in the copy itself. */
function adaptAction(entry: FileAction, llb: ReadonlySet<string>): FileAction {
  const { action } = entry;
  if (action.kind !== 'copy') return entry;
  return {
    ...entry,
    action: {
      ...action,
      requiredPaths: llb.has('file.copy.requiredpaths') ? action.requiredPaths : [],
      alwaysReplaceExistingDestPaths:
        action.alwaysReplaceExistingDestPaths && llb.has('file.copy.alwaysreplaceexistingdestpaths'),
    },
  };
}

/** COPY --link on a daemon without merges: the layers are copied over each other. */
function mergeByCopy(inputs: readonly VertexInput[]): Replacement | undefined {
  const [base] = inputs;
  if (base === undefined || inputs.length < 2) return undefined;
  const actions = inputs.slice(1).map((_, i): FileAction => ({
    input: i === 0 ? 0 : inputs.length + i - 1,
    secondaryInput: i + 1,
    output: i === inputs.length - 2 ? 0 : -1,
    action: copyFiles(),
  }));
  return { op: { kind: 'file', actions }, inputs };
}
