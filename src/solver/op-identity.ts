import { createHash } from 'node:crypto';
import { posix } from 'node:path';
import type { Chown, FileAction, FileActionKind, Mount, Op, UserRef, Vertex } from '../llb/index.ts';
import type { KeyPart } from './keys.ts';

/** One named property of an op that can change its output. */
export type OpField = readonly [name: string, value: KeyPart];

/**
 * All of a vertex' op that can change its output, and nothing else (docs/cache-keys.md says why each is in or out).
 * Also kept in the record, so that a later miss can be explained by what differs.
 *
 * @param byContent True for inputs that are keyed by the content the op reads: where in the input it was read from does
 *   not count then, as the digest covers it (BuildKit, solver/llbsolver/ops/{exec,file}.go).
 */
export function opIdentity(vertex: Vertex, byContent: (input: number) => boolean): readonly OpField[] {
  const { op, platform, metadata } = vertex;
  const fields: OpField[] = [['op', op.kind]];
  if (platform !== undefined && op.kind !== 'source') {
    const { os, architecture, variant = '', osVersion = '' } = platform;
    fields.push(['platform', [os, architecture, variant, osVersion]]);
  }
  // It makes another layer of the same files.
  if (op.kind === 'file' && metadata.exactLayers === true) fields.push(['layers', 'exact']);
  fields.push(...fieldsOf(op, vertex.inputs.length, byContent));
  return fields;
}

function fieldsOf(op: Op, inputs: number, byContent: (input: number) => boolean): OpField[] {
  switch (op.kind) {
    case 'source':
      return sourceFields(op.identifier, op.attrs);
    case 'exec':
      return execFields(op, byContent);
    case 'file':
      return [['actions', op.actions.map((action) => fileAction(action, inputs, byContent))]];
    case 'merge':
      return [['inputs', op.inputs.map(String)]];
    case 'diff':
      return [
        ['lower', String(op.lower)],
        ['upper', String(op.upper)],
      ];
    case 'build':
      return [
        ['builder', String(op.builder)],
        ['inputs', sortedPairs(op.inputs)],
        ['attrs', sortedPairs(op.attrs)],
      ];
  }
}

/** Attributes that say how a source is fetched, not what it is; `Worker.sourceKey` says what it is. */
const fetchAttrs =
  /^(image\.(resolvemode|recordtype|checksum)|oci\.(session|store)|git\.(fullurl|auth\w+|knownsshhosts|mountsshsock|checksum|fetchbycommit|sig\..*)|http\.(checksum|authheadersecret|header\..*|sig\..*))$/;

function sourceFields(identifier: string, attrs: Readonly<Record<string, string>>): OpField[] {
  const scheme = identifier.slice(0, identifier.indexOf('://'));
  const fields: OpField[] = [
    // The same layers from a registry and from a layout are the same source.
    ['scheme', scheme === 'oci-layout' ? 'docker-image' : scheme === 'https' ? 'http' : scheme],
    ['attrs', sortedPairs(Object.fromEntries(Object.entries(attrs).filter(([name]) => !fetchAttrs.test(name))))],
  ];
  if (scheme === 'git') {
    const [, fragment = ''] = /#(.*)$/s.exec(identifier) ?? [];
    const colon = fragment.indexOf(':');
    fields.push(['subdir', colon < 0 ? '' : fragment.slice(colon + 1)]);
    // .git/config names the remote.
    if (attrs['git.keepgitdir'] === 'true') fields.push(['remote', identifier]);
  }
  if (scheme === 'http' || scheme === 'https') {
    fields.push(['name', attrs['http.filename'] ?? posix.basename(identifier.replace(/[?#].*$/s, ''))]);
  }
  return fields;
}

function execFields(op: Op & { kind: 'exec' }, byContent: (input: number) => boolean): OpField[] {
  const { meta } = op;
  const fields: OpField[] = [
    ['args', meta.args],
    ['env', meta.env],
    ['cwd', meta.cwd],
    ['user', meta.user],
    ['network', op.network],
    ['security', op.security],
    ['mounts', op.mounts.map((mount) => mountIdentity(mount, byContent))],
  ];
  if (meta.hostname !== '') fields.push(['hostname', meta.hostname]);
  // Names only: addresses differ from machine to machine.
  if (meta.extraHosts.length > 0) fields.push(['hosts', meta.extraHosts.map(({ host }) => host)]);
  if (meta.validExitCodes.length > 0) fields.push(['valid-exit-codes', meta.validExitCodes.map(String)]);
  if (!meta.removeMountStubsRecursive) fields.push(['keeps-mount-stubs', 'true']);
  if (op.secretEnv.length > 0) {
    fields.push(['secret-env', op.secretEnv.map(({ id, name, optional }) => [id, name, String(optional)])]);
  }
  if (op.cdiDevices.length > 0) {
    fields.push(['devices', op.cdiDevices.map(({ name, optional }) => [name, String(optional)])]);
  }
  return fields;
}

function mountIdentity(mount: Mount, byContent: (input: number) => boolean): KeyPart {
  const { type } = mount;
  const common = [type.kind, mount.dest, String(mount.readonly)];
  const selector = byContent(mount.input) ? [] : [mount.selector ?? ''];
  switch (type.kind) {
    case 'bind':
      return [...common, String(mount.input), String(mount.output), selector];
    case 'cache':
      // Contents of cache mounts never count, so neither does which cache it is; what seeds it does.
      return mount.input < 0 ? common : [...common, String(mount.input), selector];
    case 'tmpfs':
      return [...common, String(type.size)];
    case 'secret':
      return [...common, type.id, String(type.uid), String(type.gid), String(type.mode), String(type.optional)];
    case 'ssh':
      return [...common, String(type.uid), String(type.gid), String(type.mode), String(type.optional)];
  }
}

function fileAction(action: FileAction, inputs: number, byContent: (input: number) => boolean): KeyPart {
  const { secondaryInput } = action;
  const readsContent = secondaryInput >= 0 && secondaryInput < inputs && byContent(secondaryInput);
  return [
    String(action.input),
    String(secondaryInput),
    String(action.output),
    ...fileActionFields(action.action, readsContent),
  ];
}

function fileActionFields(action: FileActionKind, readsContent: boolean): readonly KeyPart[] {
  switch (action.kind) {
    case 'copy':
      return [
        action.kind,
        // A file keeps its name in a directory it is copied to; its parents' names do not matter.
        readsContent ? ['name', posix.basename(action.src)] : ['path', action.src],
        action.dest,
        chown(action.owner),
        String(action.mode),
        action.modeStr ?? '',
        [
          action.followSymlink,
          action.dirCopyContents,
          action.attemptUnpackDockerCompatibility,
          action.createDestPath,
          action.allowWildcard,
          action.allowEmptyWildcard,
          action.alwaysReplaceExistingDestPaths,
        ].map(String),
        String(action.timestamp),
        action.includePatterns,
        action.excludePatterns,
        action.requiredPaths,
      ];
    case 'mkfile':
      return [
        action.kind,
        action.path,
        String(action.mode),
        chown(action.owner),
        String(action.timestamp),
        createHash('sha256').update(action.data).digest('hex'),
      ];
    case 'mkdir':
      return [
        action.kind,
        action.path,
        String(action.mode),
        String(action.makeParents),
        chown(action.owner),
        String(action.timestamp),
      ];
    case 'rm':
      return [action.kind, action.path, String(action.allowNotFound), String(action.allowWildcard)];
    case 'symlink':
      return [action.kind, action.oldPath, action.newPath, chown(action.owner), String(action.timestamp)];
  }
}

function chown(owner: Chown | undefined): KeyPart {
  if (owner === undefined) return [];
  return [userRef(owner.user), userRef(owner.group)];
}

function userRef(ref: UserRef | undefined): KeyPart {
  if (ref === undefined) return [];
  return ref.kind === 'id' ? ['id', String(ref.id ?? 0)] : ['name', ref.name ?? '', String(ref.input ?? -1)];
}

function sortedPairs(record: Readonly<Record<string, string | number>>): KeyPart {
  return Object.entries(record)
    .sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
    .map(([name, value]) => [name, String(value)]);
}
